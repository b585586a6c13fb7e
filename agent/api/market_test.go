package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// fakeMarket knows one service, db, and remembers what it was asked.
type fakeMarket struct{ calls []string }

func (f *fakeMarket) call(words ...string) error {
	f.calls = append(f.calls, strings.Join(words, " "))
	return nil
}

func (f *fakeMarket) job(kind, name string) (agent.ServiceJob, error) {
	if name != "db" {
		return agent.ServiceJob{}, agent.Errorf(agent.CodeNotFound, "hks market list", "there is no service %s", name)
	}
	return agent.ServiceJob{ID: 1, Service: name, Kind: kind, Status: agent.RunPending}, f.call(kind, name)
}

func (f *fakeMarket) Catalogue(context.Context) ([]agent.CatalogueEntry, error) {
	return []agent.CatalogueEntry{{Name: "postgresql"}}, nil
}

func (f *fakeMarket) Entry(_ context.Context, name string) (agent.CatalogueEntry, error) {
	return agent.CatalogueEntry{Name: name}, nil
}

func (f *fakeMarket) AddChart(_ context.Context, archive io.Reader, by string) (agent.CatalogueEntry, error) {
	data, err := io.ReadAll(archive)
	return agent.CatalogueEntry{Name: string(data), Own: true}, errors.Join(err, f.call("add", by))
}

func (f *fakeMarket) List(context.Context) ([]agent.Service, error) { return nil, nil }

func (f *fakeMarket) Get(_ context.Context, name string) (agent.Service, error) {
	return agent.Service{Name: name}, nil
}

func (f *fakeMarket) Install(_ context.Context, r agent.ServiceRequest, _ string) (agent.ServiceJob, error) {
	if r.Values["storage"] == "1Ti" {
		return agent.ServiceJob{}, &agent.Error{Code: agent.CodeQuotaStorage, Message: "too much", Details: map[string]any{"used": 1, "asked": 2, "limit": 2}}
	}
	return f.job("install", r.Name)
}

func (f *fakeMarket) Upgrade(_ context.Context, name string, _ agent.ServiceUpgrade, _ string) (agent.ServiceJob, error) {
	return f.job("upgrade", name)
}

func (f *fakeMarket) UpgradeDiff(context.Context, string, agent.ServiceUpgrade) ([]agent.Change, error) {
	return nil, nil
}

func (f *fakeMarket) Move(_ context.Context, name, to, _ string) (agent.ServiceJob, error) {
	return f.job("move to "+to, name)
}

func (f *fakeMarket) PlanMove(_ context.Context, _, to string) (agent.MovePlan, error) {
	return agent.MovePlan{From: agent.PoolShared, To: to, Fits: true, Pause: 10}, nil
}

func (f *fakeMarket) Uninstall(_ context.Context, name string, force, purge bool, _ string) (agent.ServiceJob, error) {
	kind := "uninstall"
	if force {
		kind += " force"
	}
	if purge {
		kind += " purge"
	}
	return f.job(kind, name)
}

func (f *fakeMarket) Rotate(_ context.Context, name, _ string) (agent.ServiceJob, error) {
	return f.job("rotate", name)
}

func (f *fakeMarket) Test(context.Context, string) error { return nil }

func (f *fakeMarket) Credentials(_ context.Context, name, by string) (agent.Credentials, error) {
	return agent.Credentials{URL: canary}, f.call("credentials", name, by)
}

func (f *fakeMarket) Bind(_ context.Context, name string, b agent.Bind, _ string) (agent.Binding, error) {
	return agent.Binding{Service: name, App: b.App}, f.call("bind", b.App, name)
}

func (f *fakeMarket) Unbind(_ context.Context, name, app string, env agent.Environment, _ string) (agent.Binding, error) {
	return agent.Binding{}, f.call("unbind", app, string(env), name)
}

func (f *fakeMarket) Job(_ context.Context, id int64) (agent.ServiceJob, error) {
	return agent.ServiceJob{ID: id, Service: "db"}, nil
}

func (f *fakeMarket) Backups(context.Context, string) ([]agent.Backup, error) { return nil, nil }

func (f *fakeMarket) Backup(_ context.Context, name, _ string) (agent.ServiceJob, error) {
	return f.job("backup", name)
}

func (f *fakeMarket) Restore(_ context.Context, name string, _ int64, _ string) (agent.ServiceJob, error) {
	return f.job("restore", name)
}

func (f *fakeMarket) Verify(_ context.Context, name string, _ int64, _ string) (agent.ServiceJob, error) {
	return f.job("verify", name)
}

func (f *fakeMarket) DeleteBackup(context.Context, string, int64, string) error { return nil }

func (f *fakeMarket) Target(context.Context) (agent.BackupTarget, error) {
	return agent.BackupTarget{}, nil
}

func (f *fakeMarket) SetTarget(_ context.Context, target agent.BackupTarget, _ string) (agent.BackupTarget, error) {
	return target, nil
}

func (f *fakeMarket) Find(context.Context, string) (agent.InstanceTarget, error) {
	return agent.InstanceTarget{Instance: "db-0", Port: 5432}, nil
}

func (f *fakeMarket) Dial(context.Context, agent.InstanceTarget) (agent.Tunnel, error) {
	return nil, errors.New("nothing to dial")
}

func TestMarketRoutes(t *testing.T) {
	for _, tt := range []struct {
		method, path, body string
		status             int
		call               string // the last that the marketplace heard
	}{
		{"GET", "/api/market", "", 200, ""},
		{"POST", "/api/services", `{"name":"db","chart":"postgresql"}`, 202, "install db"},
		{"POST", "/api/services/db/upgrade", `{"latest":true}`, 202, "upgrade db"},
		{"POST", "/api/services/db/move", `{"to":"dedicated"}`, 202, "move to dedicated db"},
		{"POST", "/api/services/db/rotate", "", 202, "rotate db"},
		{"DELETE", "/api/services/db?purge=true", "", 202, "uninstall purge db"},
		{"DELETE", "/api/services/db?force=true", "", 202, "uninstall force db"},
		{"POST", "/api/services/db/bindings", `{"app":"web","environment":"staging"}`, 202, "bind web db"},
		{"DELETE", "/api/services/db/bindings/web/staging", "", 202, "unbind web staging db"},
		{"POST", "/api/services/db/credentials", "", 200, "credentials db root"},
		{"POST", "/api/services/db/backups", "", 202, "backup db"},
		{"POST", "/api/services/db/backups/3/restore", "", 202, "restore db"},
		{"POST", "/api/services/db/backups/3/verify", "", 202, "verify db"},
		{"POST", "/api/services/db/verify", "", 202, "verify db"},
		{"DELETE", "/api/services/db/backups/3", "", 204, ""},
		{"GET", "/api/services/db/port-forward", "", 200, ""},
		{"GET", "/api/services/db/jobs/1", "", 200, ""},
		{"PUT", "/api/backup-target", `{"endpoint":"https://s3.example.com"}`, 200, ""},
	} {
		a := newAppliance(t)
		a.want(tt.status, request{method: tt.method, path: tt.path, body: tt.body, local: true})
		if n := len(a.market.calls); tt.call != "" && (n == 0 || a.market.calls[n-1] != tt.call) {
			t.Errorf("%s %s: it heard %q, want %q", tt.method, tt.path, a.market.calls, tt.call)
		}
	}
}

func TestMarketRefusals(t *testing.T) {
	a := newAppliance(t)
	got := a.refuse(http.StatusUnprocessableEntity, agent.CodeQuotaStorage, request{method: "POST", path: "/api/services", body: `{"name":"db","chart":"postgresql","values":{"storage":"1Ti"}}`, local: true})
	for _, fact := range []string{"used", "asked", "limit"} {
		if got.Details[fact] == nil {
			t.Errorf("the refusal does not tell %s", fact)
		}
	}
	a.refuse(http.StatusNotFound, agent.CodeNotFound, request{method: "POST", path: "/api/services/other/rotate", local: true})
	for _, path := range []string{"/api/services/Db", "/api/services/db/jobs/x"} {
		a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{path: path, local: true})
	}
	a.refuse(http.StatusBadRequest, agent.CodeInvalid, request{method: "POST", path: "/api/services/db/backups/latest/restore", local: true})
}

// TestNoMarketplace: an appliance without one has no routes of it.
func TestNoMarketplace(t *testing.T) {
	a := newAppliance(t)
	a.Server.cfg.Market = nil
	if routes := a.marketRoutes(); len(routes) > 0 {
		t.Errorf("there are %d", len(routes))
	}
}
