package double

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// visitor is a browser that trusts any certificate.
type visitor struct {
	t      *testing.T
	client *http.Client
	base   string
}

func visit(t *testing.T, cfg Config) visitor {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	d, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return visitor{t: t, base: d.URL, client: &http.Client{Jar: jar, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test double
	}}}
}

func (v visitor) do(method, path, body string, want int) string {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if response.StatusCode != want {
		v.t.Fatalf("%s %s: %s, want %d: %s", method, path, response.Status, want, text)
	}
	return string(text)
}

func TestDeployThroughTheDouble(t *testing.T) {
	v := visit(t, Config{Password: "a horse in the rain", Speed: 100})
	v.do("POST", "/api/login", `{"password":"a horse in the rain"}`, http.StatusNoContent)
	v.until("/api/workspace", `"status":"ready"`)
	v.do("POST", "/api/apps/web/staging/releases", `{"change":[{"image":"hello:1","port":8080}],"env":{"KEY":"canary-4711"}}`, http.StatusAccepted)
	progress := v.do("GET", "/api/apps/web/staging/releases/1/progress", "", http.StatusOK)
	if !strings.Contains(progress, `"done":true`) || !strings.Contains(progress, "event: end") {
		t.Errorf("the progress is not complete:\n%s", progress)
	}
	if strings.Contains(progress, "canary-4711") {
		t.Errorf("the progress shows an environment value:\n%s", progress)
	}
	if logs := v.do("GET", "/api/apps/web/staging/logs?tail=5", "", http.StatusOK); strings.Count(logs, "event: log") != 5 {
		t.Errorf("want 5 lines:\n%s", logs)
	}
	v.do("POST", "/api/apps/web/staging/releases", `{"change":[{"image":"missing:1"}]}`, http.StatusAccepted)
	if progress := v.do("GET", "/api/apps/web/staging/releases/2/progress", "", http.StatusOK); !strings.Contains(progress, "manifest unknown") {
		t.Errorf("the progress does not tell the failure:\n%s", progress)
	}
	v.do("DELETE", "/api/apps/web/staging", "", http.StatusOK)
}

func TestComponentsThroughTheDouble(t *testing.T) {
	v := visit(t, Config{Password: "a horse in the rain", Speed: 100, Seed: true})
	v.do("POST", "/api/login", `{"password":"a horse in the rain"}`, http.StatusNoContent)
	v.until("/api/apps/shop/staging", `"release":2`)
	app := v.do("GET", "/api/apps/shop/staging", "", http.StatusOK)
	for _, want := range []string{`"component":"backend"`, `"component":"frontend"`, `"url":"http://shop-staging.localhost/api"`} {
		if !strings.Contains(app, want) {
			t.Errorf("the app has no %s:\n%s", want, app)
		}
	}
	v.do("POST", "/api/apps/shop/staging/scale", `{"replicas":3}`, http.StatusBadRequest)
	v.do("POST", "/api/apps/shop/staging/scale", `{"component":"backend","replicas":3}`, http.StatusAccepted)
	v.until("/api/apps/shop/staging", `"replicas":3,"ready":3`)
	if logs := v.do("GET", "/api/apps/shop/staging/logs?tail=2&component=backend", "", http.StatusOK); strings.Count(logs, "event: log") != 6 || strings.Contains(logs, "frontend") {
		t.Errorf("want 2 lines of each of 3 backends:\n%s", logs)
	}
	changes := v.do("POST", "/api/apps/shop/staging/diff", `{"change":[{"name":"frontend","image":"page:2"}],"env":{"API_KEY":"canary-4711"}}`, http.StatusOK)
	if !strings.Contains(changes, `"page:2"`) || !strings.Contains(changes, `"env API_KEY"`) || strings.Contains(changes, "canary-4711") {
		t.Errorf("the difference is not told, or tells too much:\n%s", changes)
	}
	v.until("/api/apps/shop/production", `"release":1`)
	promoted := v.do("POST", "/api/apps/shop/production/promote", `{"from":"staging"}`, http.StatusAccepted)
	if !strings.Contains(promoted, `"hello:2"`) || !strings.Contains(promoted, `"kind":"promote"`) || strings.Contains(promoted, "CACHE_URL") {
		t.Errorf("want the images of staging with the environment of production:\n%s", promoted)
	}
}

func TestBuildsThroughTheDouble(t *testing.T) {
	v := visit(t, Config{Password: "a horse in the rain", Speed: 100, Seed: true, Builds: true})
	v.do("POST", "/api/login", `{"password":"a horse in the rain"}`, http.StatusNoContent)
	v.until("/api/builds?app=guide", `"status":"running"`)
	v.until("/api/apps/notes/staging", `"release":1`)
	for path, want := range map[string]string{
		"/api/builds/1": `"status":"succeeded"`, "/api/builds/2": `"status":"failed"`,
		"/api/builds/1/log?follow=true": `"text":"compiled 48 modules"`, "/api/builds/2/log?follow=true": `"kind":"cached","step":"[1/6] FROM node:24"`,
	} {
		if got := v.do("GET", path, "", http.StatusOK); !strings.Contains(got, want) {
			t.Errorf("%s has no %s:\n%s", path, want, got)
		}
	}
	v.do("POST", "/api/builds/3/cancel", "", http.StatusOK)
	if log := v.do("GET", "/api/builds/3/log?follow=true", "", http.StatusOK); !strings.Contains(log, `"status":"cancelled"`) {
		t.Errorf("the log does not tell the end:\n%s", log)
	}
}

// until asks again until the answer holds want, or the test's time is over.
func (v visitor) until(path, want string) {
	v.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if got := v.do("GET", path, "", http.StatusOK); bytes.Contains([]byte(got), []byte(want)) {
			return
		}
	}
}
