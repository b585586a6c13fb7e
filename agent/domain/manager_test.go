package domain

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// world is a manager whose apps, gateway and network are made up.
type world struct {
	t     *testing.T
	store *store.Store
	cfg   Config
	m     *Manager

	mu         sync.Mutex // guards the rest
	checks     map[string]agent.DomainCheck
	certs      map[string]agent.GatewayCertificate // what the gateway answers, by host
	told       []agent.GatewayDomain
	checked    int
	away       error
	rerouted   []string
	activities []string
}

func (w *world) Claim(_ context.Context, app string, _ agent.Environment, _, host string) error {
	if app != "web" {
		return agent.Errorf(agent.CodeNotFound, "", "there is no app %s", app)
	}
	if host == "taken.example.com" {
		return agent.Errorf(agent.CodeConflict, "", "taken")
	}
	return nil
}

func (w *world) Reroute(app string, env agent.Environment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rerouted = append(w.rerouted, app+"/"+string(env))
}

func (w *world) PutDomains(_ context.Context, domains []agent.GatewayDomain) ([]agent.GatewayCertificate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return nil, w.away
	}
	w.told = slices.Clone(domains)
	var states []agent.GatewayCertificate
	for _, d := range domains {
		state := w.certs[d.Host]
		state.Host = d.Host
		states = append(states, state)
	}
	return states, nil
}

func (w *world) ID(context.Context) (string, error) { return "gw", nil }

func (w *world) Check(_ context.Context, host, id string) agent.DomainCheck {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checked++
	if id != "gw" {
		w.t.Errorf("looking for the gateway %q", id)
	}
	return w.checks[host]
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

var right = agent.DomainCheck{DNS: agent.Look{OK: true}, HTTP: agent.Look{OK: true}, HTTPS: agent.Look{OK: true}}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: s, checks: map[string]agent.DomainCheck{}, certs: map[string]agent.GatewayCertificate{}}
	w.cfg = Config{
		Store: s, Apps: w, Gateway: w, Checker: w, ACME: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Activity: func(_ context.Context, a agent.Activity) {
			w.set(func() { w.activities = append(w.activities, a.Level+" "+a.Subject+" "+a.Message) })
		},
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	m, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.m = m
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.m.Stop(context.WithoutCancel(w.t.Context())); err != nil {
		w.t.Error(err)
	}
}

func (w *world) add(host string) agent.Domain {
	w.t.Helper()
	d, err := w.m.Add(w.t.Context(), "web", agent.Production, "", host, "owner")
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return d
}

func (w *world) is(host string, status agent.DomainStatus) agent.Domain {
	w.t.Helper()
	d, err := w.m.Get(w.t.Context(), host)
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Status != status {
		w.t.Fatalf("%s is %s (%s), want %s", host, d.Status, d.Reason, status)
	}
	return d
}

func (w *world) asks(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.told, func(d agent.GatewayDomain) bool { return d.Host == host && d.Ask })
}

func (w *world) said(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.activities, func(line string) bool { return strings.Contains(line, part) })
}

func TestA22FromWrongDNSToACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.checks["www.example.com"] = agent.DomainCheck{Addresses: []string{"198.51.100.7"}, Expected: []string{"192.0.2.2"},
			DNS: agent.Look{Message: "www.example.com points to 198.51.100.7; it should point to 192.0.2.2"}}
		if d := w.add("WWW.example.com."); d.Host != "www.example.com" || d.URL != "https://www.example.com" {
			t.Errorf("added %+v", d)
		}
		if len(w.rerouted) != 1 || w.rerouted[0] != "web/production" {
			t.Errorf("rerouted %v", w.rerouted)
		}
		d := w.is("www.example.com", agent.DomainWaiting)
		if !strings.Contains(d.Reason, "should point to 192.0.2.2") || !strings.Contains(d.Fix, "192.0.2.2") || w.asks("www.example.com") {
			t.Errorf("with wrong DNS: %+v", d)
		}
		if _, err := w.m.Retry(t.Context(), "www.example.com", false, "owner"); agent.CodeOf(err) != agent.CodeConflict || w.asks("www.example.com") {
			t.Errorf("a retry with wrong DNS: %v", err)
		}

		w.set(func() {
			w.checks["www.example.com"] = agent.DomainCheck{DNS: agent.Look{OK: true}, HTTP: agent.Look{Message: "port 80 is shut"}, HTTPS: agent.Look{OK: true}}
		})
		time.Sleep(again + time.Second)
		if d = w.is("www.example.com", agent.DomainWaiting); d.Reason != "port 80 is shut" {
			t.Errorf("with port 80 shut: %+v", d)
		}

		w.set(func() {
			w.checks["www.example.com"] = right
			w.certs["www.example.com"] = agent.GatewayCertificate{Asking: true}
		})
		time.Sleep(again + time.Second)
		w.is("www.example.com", agent.DomainAsking)
		if !w.asks("www.example.com") {
			t.Error("the gateway was not told to ask")
		}

		failed := time.Now()
		w.set(func() {
			w.certs["www.example.com"] = agent.GatewayCertificate{Error: "no such name (urn:x)", Tries: 2, LastTry: failed, NextTry: failed.Add(time.Hour)}
		})
		time.Sleep(2 * soon)
		if d = w.is("www.example.com", agent.DomainFailed); d.Reason != "no such name (urn:x)" || d.NextTry.IsZero() || d.Tries != 2 || !w.said("error web/production no certificate for www.example.com: no such name") {
			t.Errorf("refused: %+v %v", d, w.activities)
		}

		until := time.Now().Add(90 * 24 * time.Hour)
		w.set(func() {
			w.certs["www.example.com"] = agent.GatewayCertificate{Certificate: agent.Certificate{Source: agent.CertificateACME, Issuer: "CA", Serial: "1", ValidUntil: until}}
		})
		if _, err := w.m.Retry(t.Context(), "www.example.com", false, "owner"); err != nil {
			t.Fatal(err)
		}
		if d = w.is("www.example.com", agent.DomainValid); d.Reason != "" || !w.said("www.example.com has a certificate, by CA") {
			t.Errorf("valid: %+v %v", d, w.activities)
		}
		if w.told[0].Retry.IsZero() {
			t.Error("the gateway was not told to try again")
		}

		// It stays so over a restart, and a renewal is told.
		w.stop()
		w.start()
		w.is("www.example.com", agent.DomainValid)
		w.set(func() {
			one := w.certs["www.example.com"]
			one.Certificate.Serial = "2"
			w.certs["www.example.com"] = one
		})
		time.Sleep(whileValid + time.Minute)
		if !w.said("was renewed") {
			t.Errorf("the renewal was not told: %v", w.activities)
		}
		w.set(func() {
			one := w.certs["www.example.com"]
			one.Error = "down"
			w.certs["www.example.com"] = one
		})
		time.Sleep(whileValid + time.Minute)
		if d = w.is("www.example.com", agent.DomainValid); !strings.Contains(d.Reason, "not renewed: down") || !w.said("warning web/production the certificate of www.example.com: it was not renewed") {
			t.Errorf("a renewal that fails: %+v", d)
		}

		if err := w.m.Remove(t.Context(), "www.example.com", "owner"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.m.Get(t.Context(), "www.example.com"); agent.CodeOf(err) != agent.CodeNotFound || len(w.told) != 0 {
			t.Errorf("after removal: %v, told %v", err, w.told)
		}
	})
}

func TestA22RetryAnywayAndAGatewayThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.checks["www.example.com"] = agent.DomainCheck{DNS: agent.Look{OK: true}, HTTP: agent.Look{Message: "no hairpin"}, HTTPS: agent.Look{Message: "no hairpin"}}
		w.add("www.example.com")
		w.is("www.example.com", agent.DomainWaiting)
		if _, err := w.m.Retry(t.Context(), "www.example.com", true, "owner"); err != nil || !w.asks("www.example.com") {
			t.Errorf("anyway: %v, told %v", err, w.told)
		}
		w.is("www.example.com", agent.DomainAsking)
		time.Sleep(anyway + time.Minute)
		if w.asks("www.example.com") {
			t.Error("one word opens it for ever")
		}
		w.set(func() { w.away = errors.New("connection refused") })
		if _, err := w.m.Check(t.Context(), "www.example.com"); agent.CodeOf(err) != agent.CodeClusterAway {
			t.Errorf("with the gateway away: %v", err)
		}
		w.set(func() { w.away, w.checks["www.example.com"] = nil, right })
		time.Sleep(later + time.Minute)
		if !w.asks("www.example.com") {
			t.Error("it does not go on when the gateway is back")
		}
	})
}

func TestA22DomainsGoWithTheirApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var gone []string
		w.stop()
		w.cfg.Publish = func(kind, subject string, object any) {
			if object == nil {
				w.set(func() { gone = append(gone, kind+" "+subject) })
			}
		}
		w.start()
		w.checks["www.example.com"] = right
		w.add("www.example.com")
		if err := w.store.ForgetApp(t.Context(), "web", agent.Production); err != nil {
			t.Fatal(err)
		}
		w.m.Changed()
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.told) != 0 || !slices.Contains(gone, "domain www.example.com") {
			t.Errorf("the gateway is told %v, listeners of %v", w.told, gone)
		}
	})
}

func TestA22WhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for host, code := range map[string]agent.Code{
			"localhost": agent.CodeInvalid, "192.0.2.1": agent.CodeInvalid, "[2001:db8::1]": agent.CodeInvalid, "https://a.example": agent.CodeInvalid,
			"a.example:80": agent.CodeInvalid, "a_b.example.com": agent.CodeInvalid, "*.*.example.com": agent.CodeInvalid, "": agent.CodeInvalid,
			"a..example": agent.CodeInvalid, "taken.example.com": agent.CodeConflict, strings.Repeat("a", 64) + ".example": agent.CodeInvalid,
		} {
			if _, err := w.m.Add(t.Context(), "web", agent.Staging, "", host, "owner"); agent.CodeOf(err) != code {
				t.Errorf("%q: %v", host, err)
			}
		}
		if _, err := w.m.Add(t.Context(), "nothing", agent.Staging, "", "a.example.com", "owner"); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("an app that is not there: %v", err)
		}
		if d := w.add("Bücher.example"); d.Host != "xn--bcher-kva.example" || d.Name != "bücher.example" {
			t.Errorf("IDN: %+v", d)
		}
		if _, err := w.m.Add(t.Context(), "web", agent.Staging, "", "BÜCHER.example", "owner"); agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "web/production") {
			t.Errorf("a domain twice: %v", err)
		}
	})
}

func TestA22WildcardsAndNoAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.checks["*.example.com"] = right
		w.add("*.example.com")
		if d := w.is("*.example.com", agent.DomainWaiting); !strings.Contains(d.Fix, "hks domains cert") || d.URL != "" {
			t.Errorf("a wildcard: %+v", d)
		}
		w.stop()
		w.cfg.ACME = false
		w.start()
		w.checks["www.example.com"] = right
		w.add("www.example.com")
		if d := w.is("www.example.com", agent.DomainWaiting); !strings.Contains(d.Reason, "gateway.acme.directory is off") {
			t.Errorf("with no authority: %+v", d)
		}
	})
}
