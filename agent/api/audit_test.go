package api

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func (a *appliance) entries(path, cookie string) []agent.AuditEntry {
	a.t.Helper()
	return decodeAs[[]agent.AuditEntry](a.t, a.want(http.StatusOK, request{path: path, cookie: cookie}))
}

func TestAuditSaysWhoAskedForWhatAndWhatCameOfIt(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	token := decodeAs[agent.Token](t, a.want(http.StatusCreated, request{method: "POST", path: "/api/tokens", body: `{"name":"laptop"}`, cookie: cookie}))
	a.want(http.StatusAccepted, request{method: "POST", path: "/api/apps/web/staging/releases?x=" + canary, body: `{"change":[{"image":"web:1","port":80}],"env":{"KEY":"` + canary + `"}}`, bearer: token.Secret})
	a.apps.err = agent.Errorf(agent.CodeConflict, "", "no")
	a.refuse(http.StatusConflict, agent.CodeConflict, request{method: "POST", path: "/api/apps/web/staging/restart", bearer: token.Secret, from: "192.0.2.77:9"})
	a.want(http.StatusUnauthorized, request{method: "POST", path: "/api/login", body: `{"password":"` + canary + `"}`})
	a.want(http.StatusUnauthorized, request{method: "POST", path: "/api/apps/web/staging/restart"}) // nobody: there is nothing to say
	a.want(http.StatusCreated, request{method: "POST", path: "/api/tokens", body: `{"name":"other"}`, local: true})

	all := a.entries("/api/audit", cookie)
	var got []string
	for _, e := range all {
		got = append(got, strings.Join([]string{e.Who, e.Via, e.Token, e.Method, e.Route, e.Target, string(e.Code)}, "|"))
	}
	want := []string{
		"root|socket||POST|/api/tokens||",
		"|||POST|/api/login||UNAUTHORIZED",
		"owner|token|laptop|POST|/api/apps/:app/:env/restart|app=web env=staging|CONFLICT",
		"owner|token|laptop|POST|/api/apps/:app/:env/releases|app=web env=staging|",
		"owner|session||POST|/api/tokens||",
		"owner|password||POST|/api/setup||",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all[2].Address != "192.0.2.77" || all[0].Address != "" || all[2].Status != http.StatusConflict {
		t.Errorf("%+v", all[:3])
	}
	if text := a.want(http.StatusOK, request{path: "/api/audit", cookie: cookie}).Body.String(); strings.Contains(text, canary) || strings.Contains(text, token.Secret) {
		t.Errorf("a secret is in it: %s", text)
	}
	for query, want := range map[string]int{"?failed=true": 2, "?token=laptop": 2, "?who=root": 1, "?text=app%3Dweb": 2, "?limit=1": 1, "?before=3": 2} {
		if got := a.entries("/api/audit"+query, cookie); len(got) != want {
			t.Errorf("%s: %d entries, want %d", query, len(got), want)
		}
	}
}

func TestAuditIsOnlyAppendedTo(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for _, r := range a.routes() {
		if strings.HasPrefix(r.path, "/api/audit") && r.method != http.MethodGet {
			t.Errorf("%s %s changes it", r.method, r.path)
		}
	}
	if len(a.entries("/api/audit", cookie)) != 1 {
		t.Error("reading it is written into it")
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	a := newAppliance(t)
	first := a.setUp()
	second := cookieOf(t, a.login(request{}))
	list := decodeAs[[]agent.Session](t, a.want(http.StatusOK, request{path: "/api/sessions", cookie: second}))
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for _, s := range list {
		if !s.Current {
			a.want(http.StatusNoContent, request{method: "DELETE", path: "/api/sessions/" + s.ID, cookie: second})
		}
	}
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{path: "/api/whoami", cookie: first})
	a.want(http.StatusOK, request{path: "/api/whoami", cookie: second})
}

// fakeAppliance has one archive.
type fakeAppliance struct{ file string }

func (f *fakeAppliance) State(context.Context) (agent.ApplianceBackups, error) {
	return agent.ApplianceBackups{Backups: []agent.ApplianceBackup{{ID: 1}}}, nil
}

func (f *fakeAppliance) Back(_ context.Context, volumes bool, by string) (agent.ApplianceJob, error) {
	return agent.ApplianceJob{ID: 1, Volumes: volumes, By: by}, nil
}

func (f *fakeAppliance) Drill(_ context.Context, id int64, by string) (agent.ApplianceJob, error) {
	return agent.ApplianceJob{ID: 2, Backup: id, By: by}, nil
}

func (f *fakeAppliance) Job(_ context.Context, id int64) (agent.ApplianceJob, error) {
	return agent.ApplianceJob{ID: id}, nil
}

func (f *fakeAppliance) Get(_ context.Context, id int64) (agent.ApplianceBackup, error) {
	return agent.ApplianceBackup{ID: id}, nil
}

func (f *fakeAppliance) Open(_ context.Context, id int64) (agent.ApplianceBackup, *os.File, error) {
	file, err := os.Open(f.file)
	return agent.ApplianceBackup{ID: id, File: "one.archive", Bytes: 7, SHA256: "abc"}, file, err
}

func (f *fakeAppliance) Delete(context.Context, int64, string) error { return nil }

func (f *fakeAppliance) ShowKey(context.Context, string) (agent.RecoveryKey, error) {
	return agent.RecoveryKey{Key: "AGE-SECRET-KEY-1X"}, nil
}

func TestApplianceRoutes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(file, []byte("archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newApplianceWith(t, func(c *Config) { c.Appliance = &fakeAppliance{file: file} })
	cookie := a.setUp()
	if got := a.want(http.StatusAccepted, request{method: "POST", path: "/api/appliance/backups", body: `{"volumes":true}`, cookie: cookie}).Body.String(); !strings.Contains(got, `"volumes":true`) || !strings.Contains(got, `"by":"owner"`) {
		t.Error(got)
	}
	if got := a.want(http.StatusAccepted, request{method: "POST", path: "/api/appliance/backups/7/drill", cookie: cookie}).Body.String(); !strings.Contains(got, `"backup":7`) {
		t.Error(got)
	}
	w := a.want(http.StatusOK, request{path: "/api/appliance/backups/1/archive", cookie: cookie})
	if w.Body.String() != "archive" || w.Header().Get("Content-Length") != "7" || !strings.Contains(w.Header().Get("Content-Disposition"), "one.archive") {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	if w := a.want(http.StatusOK, request{method: "POST", path: "/api/appliance/recovery-key", cookie: cookie}); w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), "AGE-SECRET-KEY-1X") {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	a.want(http.StatusBadRequest, request{path: "/api/appliance/backups/x", cookie: cookie})
	a.refuse(http.StatusUnauthorized, agent.CodeUnauthorized, request{method: "POST", path: "/api/appliance/recovery-key"})
}
