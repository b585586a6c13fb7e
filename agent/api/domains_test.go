package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"hks.dev/hks/agent"
)

// fakeDomains notes what it is asked.
type fakeDomains struct {
	mu    sync.Mutex // guards calls
	calls []string
}

func (f *fakeDomains) call(words ...string) (agent.Domain, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.Join(words, " "))
	return agent.Domain{Host: "www.example.com", App: "web", Environment: agent.Staging, Status: agent.DomainChecking}, nil
}

func (f *fakeDomains) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return ""
	}
	return f.calls[len(f.calls)-1]
}

func (f *fakeDomains) Add(_ context.Context, app string, env agent.Environment, component, host, by string) (agent.Domain, error) {
	return f.call("add", app, string(env), component, host, by)
}

func (f *fakeDomains) List(_ context.Context, app string, env agent.Environment) ([]agent.Domain, error) {
	d, err := f.call("list", app, string(env))
	return []agent.Domain{d}, err
}

func (f *fakeDomains) Get(_ context.Context, host string) (agent.Domain, error) {
	return f.call("get", host)
}

func (f *fakeDomains) Check(_ context.Context, host string) (agent.Domain, error) {
	return f.call("check", host)
}

func (f *fakeDomains) Retry(_ context.Context, host string, anyway bool, by string) (agent.Domain, error) {
	if anyway {
		host += " anyway"
	}
	return f.call("retry", host, by)
}

func (f *fakeDomains) SetCertificate(_ context.Context, host, chain, key, by string) (agent.Domain, error) {
	return f.call("cert", host, chain, key, by)
}

func (f *fakeDomains) Remove(_ context.Context, host, by string) error {
	_, err := f.call("remove", host, by)
	return err
}

func (f *fakeApps) SetMaintenance(_ context.Context, app string, _ agent.Environment, on bool, message, by string) (agent.App, error) {
	word := "off"
	if on {
		word = "on"
	}
	return someApp(), f.call("maintenance", app, word, message, by)
}

func TestA22DomainRoutes(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	const host = "/api/domains/www.example.com"
	for _, tt := range []struct {
		method, path, body string
		status             int
		call               string
	}{
		{"POST", "/api/apps/web/production/domains", `{"host":"www.example.com","component":"api"}`, http.StatusCreated, "add web production api www.example.com owner"},
		{"GET", "/api/domains?app=web&environment=staging", "", http.StatusOK, "list web staging"},
		{"GET", host, "", http.StatusOK, "get www.example.com"},
		{"GET", "/api/domains/%2A.example.com", "", http.StatusOK, "get *.example.com"},
		{"POST", host + "/check", "", http.StatusOK, "check www.example.com"},
		{"POST", host + "/retry?anyway=true", "", http.StatusOK, "retry www.example.com anyway owner"},
		{"PUT", host + "/certificate", `{"certificate":"C","key":"` + canary + `"}`, http.StatusOK, "cert www.example.com C " + canary + " owner"},
		{"DELETE", host + "/certificate", "", http.StatusOK, "cert www.example.com   owner"},
		{"DELETE", host, "", http.StatusNoContent, "remove www.example.com owner"},
	} {
		w := a.want(tt.status, request{method: tt.method, path: tt.path, body: tt.body, cookie: cookie})
		if got := a.domains.last(); got != tt.call {
			t.Errorf("%s %s: asked for %q, want %q", tt.method, tt.path, got, tt.call)
		}
		if strings.Contains(w.Body.String(), canary) {
			t.Errorf("%s %s tells a key", tt.method, tt.path)
		}
	}
	if strings.Contains(a.log.String(), canary) {
		t.Error("the log holds a key")
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "PUT", path: host + "/certificate", body: `{"certificate":"C"}`, cookie: cookie})
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: "/api/domains?app=No", cookie: cookie})
}

func TestMaintenanceRoute(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	a.want(http.StatusAccepted, request{method: "POST", path: "/api/apps/web/staging/maintenance", body: `{"on":true,"message":"soon"}`, cookie: cookie})
	if got := a.apps.last(); got != "maintenance web on soon owner" {
		t.Errorf("asked for %q", got)
	}
	a.want(http.StatusAccepted, request{method: "POST", path: "/api/apps/web/staging/maintenance", body: `{"on":false}`, cookie: cookie})
	if got := a.apps.last(); got != "maintenance web off  owner" {
		t.Errorf("asked for %q", got)
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/apps/web/staging/maintenance", body: `{}`, cookie: cookie})
}
