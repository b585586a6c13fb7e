package store

import (
	"errors"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestA22DomainsAreKeptWithTheirKeySealed(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	web := AppRelease{Release: agent.Release{App: "web", Environment: agent.Staging, Kind: "deploy", By: "owner"}}
	if _, _, err := s.AddRelease(ctx, web, nil); err != nil {
		t.Fatal(err)
	}
	d := Domain{Host: "www.example.com", App: "web", Environment: agent.Staging, By: "owner"}
	if _, err := s.AddDomain(ctx, d); err != nil {
		t.Fatal(err)
	}
	d.App = "other"
	if _, err := s.AddDomain(ctx, d); !errors.Is(err, ErrDomainTaken) {
		t.Errorf("twice: %v", err)
	}
	if err := s.PutDomainCertificate(ctx, d.Host, "CHAIN", "canary-key"); err != nil {
		t.Fatal(err)
	}
	if err := s.SeeDomain(ctx, d.Host, agent.Domain{Status: agent.DomainValid, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.Domain(ctx, d.Host)
	if err != nil || !ok || got.App != "web" || got.Chain != "CHAIN" || got.Key != "canary-key" || got.Seen.Status != agent.DomainValid {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	var raw []byte
	if err := s.db.QueryRowContext(ctx, `SELECT key FROM domain`).Scan(&raw); err != nil || strings.Contains(string(raw), "canary") {
		t.Errorf("the key is kept in the clear: %q %v", raw, err)
	}
	state, _, err := s.App(ctx, "web", agent.Staging)
	if err != nil || state.Routing != 1 || state.Routed != 0 {
		t.Errorf("routing %d, routed %d, %v", state.Routing, state.Routed, err)
	}
	if err := s.Routed(ctx, "web", agent.Staging, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMaintenance(ctx, "web", agent.Staging, agent.Maintenance{On: true, Message: "m"}); err != nil {
		t.Fatal(err)
	}
	if state, _, err = s.App(ctx, "web", agent.Staging); err != nil || state.Maintenance == nil || state.Maintenance.Applied || state.Routing != 2 {
		t.Errorf("%+v %v", state.App, err)
	}
	if err := s.ForgetApp(ctx, "web", agent.Staging); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Domains(ctx); err != nil || len(list) != 0 {
		t.Errorf("domains of an app that is gone: %v %v", list, err)
	}
}
