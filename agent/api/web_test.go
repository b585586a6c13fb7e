package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestHostCheck(t *testing.T) {
	a := newAppliance(t)
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:8443": true, "LOCALHOST:8443": true, "localhost.": true, "hks.example.com:8443": true,
		"127.0.0.1:8443": true, "[::1]:8443": true, "203.0.113.9": true,
		"evil.example": false, "evil.example:8443": false, "localhost.evil.example": false, "web-staging.localhost": false, "127.0.0.1.evil.example": false,
	} {
		r := request{path: "/api/info", host: host}
		if ok {
			a.want(http.StatusOK, r)
			continue
		}
		if got := a.refuse(http.StatusMisdirectedRequest, agent.CodeForbidden, r); !strings.Contains(got.Fix, "api.hosts") {
			t.Errorf("%s: the fix does not name the setting: %q", host, got.Fix)
		}
	}
	a.refuse(http.StatusMisdirectedRequest, agent.CodeForbidden, request{path: "/", host: "evil.example"}) // the screens too
	a.want(http.StatusOK, request{path: "/api/info", host: "evil.example", local: true})
}

func TestChangesFromOtherOriginsAreRefused(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	tests := map[string]struct {
		header map[string]string
		ok     bool
	}{
		"same origin":      {map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		"no browser":       {nil, true},
		"cross site":       {map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		"an app's page":    {map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		"old browser":      {map[string]string{"Origin": "https://evil.example"}, false},
		"another port":     {map[string]string{"Origin": "https://localhost"}, false},
		"our own origin":   {map[string]string{"Origin": "https://localhost:8443"}, true},
		"an opaque origin": {map[string]string{"Origin": "null"}, false},
	}
	for name, tt := range tests {
		for _, r := range []request{
			{method: "POST", path: "/api/apps/web/staging/restart", cookie: cookie, header: tt.header},
			{method: "POST", path: "/api/login", body: `{"password":"` + goodPassword + `"}`, header: tt.header},
		} {
			w := a.do(r)
			if (w.Code < 300) != tt.ok {
				t.Errorf("%s: %s: %d %s", name, r.path, w.Code, w.Body)
			}
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	a := newAppliance(t)
	for _, path := range []string{"/", "/api/info", "/api/apps", "/api/none"} {
		h := a.do(request{path: path}).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if strings.HasPrefix(path, "/api") && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached: %q", path, h.Get("Cache-Control"))
		}
	}
	if got := a.do(request{path: "/", host: "hks.example.com"}).Header().Get("Strict-Transport-Security"); got == "" {
		t.Error("no HSTS under a public name")
	}
	if got := a.do(request{path: "/", host: "192.0.2.9"}).Header().Get("Strict-Transport-Security"); got != "" {
		t.Error("HSTS for an address")
	}
}

func TestBodiesAreStrict(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	release := func(body string) request {
		return request{method: "POST", path: "/api/apps/web/staging/releases", cookie: cookie, body: body}
	}
	a.want(http.StatusAccepted, release(`{"change":[{"image":"web:1","port":8080}],"env":{"KEY":"value"},"replicas":{"app":2}}`))
	if got := a.apps.last(); got != "deploy web staging web:1 value owner" {
		t.Errorf("the call was %q", got)
	}
	for body, field := range map[string]string{
		`{"change":[{"image":"web:1","prot":8080}]}`: "prot", `{"change":[{"port":"8080"}]}`: "port", `{`: "", `[]`: "", `{} {}`: "", `{}x`: "", `null null`: "", " ": "",
	} {
		got := a.refuse(http.StatusBadRequest, agent.CodeInvalid, release(body))
		if field != "" && got.Details["field"] != field {
			t.Errorf("%s: details %v", body, got.Details)
		}
	}
	other := release("image=web:1")
	other.header = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, other)
	empty := release("")
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, empty)
}

func TestBodiesAreBounded(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	big := `{"image":"` + strings.Repeat("x", maxBody) + `"}`
	got := a.refuse(http.StatusRequestEntityTooLarge, agent.CodeTooLarge, request{method: "POST", path: "/api/apps/web/staging/releases", cookie: cookie, body: big})
	if got.Details["limit"] != float64(maxBody) {
		t.Errorf("details: %v", got.Details)
	}
	trailing := `{"change":[{"image":"web:1"}]}` + strings.Repeat(" ", maxBody)
	a.refuse(http.StatusRequestEntityTooLarge, agent.CodeTooLarge, request{method: "POST", path: "/api/login", body: trailing})
}

func TestPathsAndQueriesAreChecked(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, path := range []string{
		"/api/apps/Web/staging", "/api/apps/-/staging", "/api/apps/web/nowhere", "/api/apps/web%2F..%2Fx/staging",
		"/api/apps/web/staging/releases/0", "/api/apps/web/staging/releases/x", "/api/apps/web/staging/releases/-1/progress",
		"/api/apps/web/staging/logs?tail=-1", "/api/apps/web/staging/logs?tail=99999", "/api/apps/web/staging/logs?since=yesterday",
		"/api/apps/web/staging/logs?follow=maybe", "/api/apps/web/staging/metrics?since=9000h", "/api/activity?limit=0", "/api/activity?limit=x",
	} {
		w := a.do(request{path: path, cookie: cookie})
		if w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, body := range []string{`{}`, `{"replicas":-1}`, `{"replicas":100000}`, `{"replicas":1.5}`, `{"replicas":null}`, `{"replicas":{"min":1}}`, `{"replicas":{"max":4,"memory":70}}`, `{"replicas":{"max":4000}}`} {
		a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/apps/web/staging/scale", cookie: cookie, body: body})
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/apps/web/staging/rollback", cookie: cookie, body: `{"release":-1}`})
}

func TestHandlersCallOneMethod(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, tt := range []struct {
		method, path, body string
		status             int
		call               string
	}{
		{"GET", "/api/apps", "", 200, "list"},
		{"GET", "/api/apps/web/production", "", 200, "get web production"},
		{"DELETE", "/api/apps/web/staging", "", 200, "delete web staging owner"},
		{"GET", "/api/apps/web/staging/releases", "", 200, "releases"},
		{"GET", "/api/apps/web/staging/releases/7", "", 200, "release"},
		{"POST", "/api/apps/web/staging/rollback", `{"release":0}`, 202, "rollback web owner"},
		{"POST", "/api/apps/web/staging/restart", "", 202, "restart web owner"},
		{"POST", "/api/apps/web/staging/stop", "", 202, "stop web owner"},
		{"POST", "/api/apps/web/staging/start", "", 202, "start web owner"},
		{"POST", "/api/apps/web/staging/scale", `{"replicas":3}`, 202, "scale web 3 instances owner"},
		{"POST", "/api/apps/web/staging/scale", `{"component":"app","replicas":{"min":2,"max":4,"cpu":60}}`, 202, "scale web 2 to 4 instances at 60 % CPU owner"},
	} {
		a.want(tt.status, request{method: tt.method, path: tt.path, body: tt.body, cookie: cookie})
		if got := a.apps.last(); got != tt.call {
			t.Errorf("%s %s called %q, want %q", tt.method, tt.path, got, tt.call)
		}
	}
}

func TestListsAreNeverNull(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, path := range []string{"/api/tokens", "/api/images", "/api/apps/web/staging/metrics"} {
		if body := a.want(http.StatusOK, request{path: path, cookie: cookie}).Body.String(); body != "[]" {
			t.Errorf("%s: %s", path, body)
		}
	}
	if body := a.want(http.StatusOK, request{path: "/api/system", cookie: cookie}).Body.String(); body != `{"parts":[]}` {
		t.Errorf("system: %s", body)
	}
}

func TestErrorsOfLowerFloors(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, tt := range []struct {
		err    error
		status int
		code   agent.Code
	}{
		{&agent.Error{Code: agent.CodePlanLimit, Message: "x"}, 403, agent.CodePlanLimit},
		{fmt.Errorf("deploying: %w", &agent.Error{Code: agent.CodeQuotaStorage, Message: "x"}), 422, agent.CodeQuotaStorage},
		{&agent.Error{Code: agent.CodeClusterAway, Message: "x"}, 503, agent.CodeClusterAway},
		{fmt.Errorf("writing: %w", syscall.ENOSPC), 507, agent.CodeNoSpace},
		{&agent.Error{Code: "SOMETHING_NEW", Message: "x"}, 500, "SOMETHING_NEW"},
		{errors.New(canary), 500, agent.CodeInternal},
	} {
		a.apps.err = tt.err
		got := a.refuse(tt.status, tt.code, request{path: "/api/apps", cookie: cookie})
		if tt.code != agent.CodeInternal {
			continue
		}
		id, _ := got.Details["id"].(string)
		if id == "" || !strings.Contains(got.Message, id) || strings.Contains(got.Message+got.Fix, canary) {
			t.Errorf("an internal error shows as %+v", got)
		}
		if log := a.log.String(); !strings.Contains(log, id) || !strings.Contains(log, canary) {
			t.Errorf("the log does not have %s and its cause", id)
		}
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.apps.panic = "boom"
	a.refuse(http.StatusInternalServerError, agent.CodeInternal, request{path: "/api/apps", cookie: cookie})
	if log := a.log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "stack") {
		t.Error("the log does not have the panic")
	}
	a.apps.panic = nil
	a.want(http.StatusOK, request{path: "/api/apps", cookie: cookie})
}

func TestUnknownPaths(t *testing.T) {
	a := newAppliance(t)
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{path: "/api/nothing"})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{method: "POST", path: "/"})
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{method: "PUT", path: "/api/apps"})
	if body := a.want(http.StatusOK, request{path: "/app/web/staging"}).Body.String(); !strings.Contains(body, "<title>") {
		t.Errorf("a screen's path: %s", body)
	}
}

func TestHealth(t *testing.T) {
	a := newAppliance(t)
	if body := a.want(http.StatusOK, request{path: "/healthz"}).Body.String(); body != `{"status":"ok"}` {
		t.Error(body)
	}
	a.ready.Store(false)
	a.want(http.StatusServiceUnavailable, request{path: "/healthz"})
}

func TestMetrics(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.do(request{path: "/api/apps/web/staging", cookie: cookie})
	a.do(request{path: "/api/apps/other/staging", cookie: cookie})
	a.do(request{method: "BREW", path: "/pot-" + canary})
	text := a.want(http.StatusOK, request{path: "/metrics", cookie: cookie}).Body.String()
	for _, want := range []string{
		`hks_api_requests_total{method="GET",route="/api/apps/:app/:env",status="200"} 2`,
		`hks_api_requests_total{method="other",route="other",status="404"} 1`,
		`hks_api_request_duration_seconds_count{method="GET",route="/api/apps/:app/:env"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, canary) {
		t.Error("a path became a label")
	}
}

// TestA21EnvironmentValuesStayInside asks every route that answers a Spec.
func TestA21EnvironmentValuesStayInside(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, r := range []request{
		{path: "/api/apps"}, {path: "/api/apps/web/staging"}, {path: "/api/apps/web/staging/releases"}, {path: "/api/apps/web/staging/releases/1"},
		{method: "POST", path: "/api/apps/web/staging/releases", body: `{"change":[{"image":"web:1","port":80}],"env":{"KEY":"` + canary + `"}}`},
		{method: "POST", path: "/api/apps/web/staging/releases", body: `{"change":[{"image":"web:1"}],"env":{"KEY":"` + canary + `"},"nope":1}`},
		{method: "POST", path: "/api/apps/web/staging/rollback", body: `{"release":1}`},
	} {
		r.cookie = cookie
		if body := a.do(r).Body.String(); strings.Contains(body, canary) {
			t.Errorf("%s %s shows a value: %s", r.method, r.path, body)
		}
	}
	body := a.want(http.StatusOK, request{path: "/api/apps/web/staging/releases/1", cookie: cookie}).Body.String()
	if !strings.Contains(body, agent.HiddenValue) || !strings.Contains(body, `"KEY"`) {
		t.Errorf("the name is not shown: %s", body)
	}
	if strings.Contains(a.log.String(), canary) {
		t.Error("the log has the value")
	}
}

func TestHideReachesEverySpec(t *testing.T) {
	spec := agent.Spec{Components: []agent.Component{{Name: "app", Image: "web:1"}}, Env: map[string]string{"KEY": canary}}
	release := agent.Release{Number: 3, Spec: spec}
	values := map[string]any{
		"spec": spec, "pointer": &spec, "release": release, "list": []agent.Release{release}, "pointers": []*agent.Release{&release},
		"map": map[string]any{"r": release, "x": 1}, "array": [1]agent.Spec{spec}, "event": agent.Event{Object: release}, "pointer event": &agent.Event{Object: &release},
		"progress": agent.Progress{Release: &release}, "any": []any{1, nil, &spec},
	}
	for name, value := range values {
		before := fmt.Sprintf("%+v", value)
		out, err := encode(value)
		if err != nil || strings.Contains(string(out), canary) || !strings.Contains(string(out), agent.HiddenValue) {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		if after := fmt.Sprintf("%+v", value); after != before {
			t.Errorf("%s was changed itself", name)
		}
	}
	if spec.Env["KEY"] != canary || release.Spec.Env["KEY"] != canary {
		t.Error("the value itself was changed")
	}
}

func TestHideLeavesTheRest(t *testing.T) {
	exit := 1
	for _, value := range []any{
		nil, 1, "x", json.RawMessage(`{"a":1}`), agent.App{Name: "web", CreatedAt: time.Unix(1, 0).UTC()},
		agent.Release{Failure: &agent.Failure{ExitCode: &exit, Logs: []string{"a"}}}, (*agent.Release)(nil), map[string]string{"a": "b"},
	} {
		want, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := encode(value); err != nil || string(got) != string(want) {
			t.Errorf("%s became %s, %v", want, got, err)
		}
	}
}

// TestTheLogHoldsNoSecret looks for each secret of a whole round of requests.
func TestTheLogHoldsNoSecret(t *testing.T) {
	a := newAppliance(t)
	link := a.link()
	a.do(request{path: "/api/setup?token=" + link})
	a.do(request{path: "/setup?token=" + link})
	w := a.want(http.StatusNoContent, request{method: "POST", path: "/api/setup", body: `{"token":"` + link + `","password":"` + goodPassword + `"}`})
	cookie := cookieOf(t, w)
	token := decodeAs[agent.Token](t, a.want(http.StatusCreated, request{method: "POST", path: "/api/tokens", body: `{"name":"ci"}`, cookie: cookie}))
	a.do(request{path: "/api/whoami", bearer: token.Secret})
	a.do(request{method: "POST", path: "/api/login", body: `{"password":"wrong-` + canary + `"}`})
	a.do(request{path: "/api/nothing/" + canary + "?q=" + canary, cookie: cookie})
	log := a.log.String()
	if !strings.Contains(log, `"route":"/api/whoami"`) {
		t.Fatalf("the log has no requests: %s", log)
	}
	for name, secret := range map[string]string{"link": link, "password": goodPassword, "cookie": cookie, "token": token.Secret, "wrong password": canary} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has the %s", name)
		}
	}
	kept, err := a.store.Activities(t.Context(), 100)
	if err != nil || len(kept) == 0 {
		t.Fatal(err)
	}
	for _, activity := range kept {
		for _, secret := range []string{link, goodPassword, cookie, token.Secret, canary} {
			if strings.Contains(activity.Message, secret) {
				t.Errorf("an activity holds a secret: %+v", activity)
			}
		}
	}
}

func TestImagesAreStreamed(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	load := func(body string, kind string) request {
		return request{method: "POST", path: "/api/images", cookie: cookie, body: body, header: map[string]string{"Content-Type": kind}}
	}
	a.want(http.StatusCreated, load(strings.Repeat("x", 3*maxBody), "application/x-tar"))
	if a.images.read != 3*maxBody {
		t.Errorf("%d bytes were read", a.images.read)
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, load("x", "application/json"))
}

func TestImagesAreFewAtATime(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.images.hold = make(chan struct{})
	load := request{method: "POST", path: "/api/images", cookie: cookie, body: "x", header: map[string]string{"Content-Type": "application/x-tar"}}
	done := make(chan int)
	for range maxUploads {
		go func() { done <- a.do(load).Code }()
	}
	for len(a.uploads) < maxUploads {
		if w := a.do(request{path: "/healthz"}); w.Code != http.StatusOK { // gives way to the others
			t.Fatal(w.Body)
		}
	}
	a.refuse(http.StatusTooManyRequests, agent.CodeTooMany, load)
	close(a.images.hold)
	for range maxUploads {
		if code := <-done; code != http.StatusCreated {
			t.Errorf("status %d", code)
		}
	}
}
