package domain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Apps tells whether a host can lead to an app, and makes it so.
type Apps interface {
	Claim(ctx context.Context, app string, env agent.Environment, component, host string) error
	Reroute(app string, env agent.Environment)
}

// Gateway keeps the certificates of domains and asks for them.
type Gateway interface {
	PutDomains(ctx context.Context, domains []agent.GatewayDomain) ([]agent.GatewayCertificate, error)
	ID(ctx context.Context) (string, error) // what it answers at its probe path
}

// Checker looks where a host leads to.
type Checker interface {
	Check(ctx context.Context, host, gatewayID string) agent.DomainCheck
}

// Config is what the manager needs.
type Config struct {
	Store   *store.Store
	Apps    Apps
	Gateway Gateway
	Checker Checker
	ACME    bool // an authority is asked
	Port    int  // of URLs shown; 0: that of https

	Publish  func(kind, subject string, object any)
	Activity func(ctx context.Context, activity agent.Activity)

	Now func() time.Time // default time.Now
	Log *slog.Logger
}

// Manager looks after the domains.
type Manager struct {
	cfg     Config
	changed chan struct{}
	looking sync.Mutex      // held while domains are looked at, network included; guards known
	known   map[string]bool // hosts at the last look

	mu     sync.Mutex // guards the rest
	cancel context.CancelFunc
	ended  chan struct{}
}

// New checks the settings; Start begins the work.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Apps == nil || cfg.Gateway == nil || cfg.Checker == nil {
		return nil, errors.New("domain: Store, Apps, Gateway and Checker are needed")
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Activity == nil {
		cfg.Activity = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg, changed: make(chan struct{}, 1)}, nil
}

// Start looks after the domains until Stop, whatever becomes of ctx.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cancel != nil {
		return nil
	}
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	m.ended = ended
	go func() {
		defer close(ended)
		m.run(ctx)
	}()
	return nil
}

// Stop ends the looking; the gateway goes on with what it was told.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	cancel, ended := m.cancel, m.ended
	m.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the look at domains: %w", ctx.Err())
	}
}

// Changed has the domains looked at soon: some may have come or gone with their
// apps. It never blocks.
func (m *Manager) Changed() {
	select {
	case m.changed <- struct{}{}:
	default: // it is noted already
	}
}

// Add makes a host lead to an app; its certificate comes when DNS and ports
// are seen to be right. Component is empty for all routes of the app.
func (m *Manager) Add(ctx context.Context, app string, env agent.Environment, component, host, by string) (agent.Domain, error) {
	host, err := parseHost(host)
	if err != nil {
		return agent.Domain{}, err
	}
	if err := m.cfg.Apps.Claim(ctx, app, env, component, host); err != nil {
		return agent.Domain{}, err
	}
	row, err := m.cfg.Store.AddDomain(ctx, store.Domain{Host: host, App: app, Environment: env, Component: component, By: by})
	if errors.Is(err, store.ErrDomainTaken) {
		return agent.Domain{}, m.taken(ctx, host)
	}
	if err != nil {
		return agent.Domain{}, err
	}
	m.tell(ctx, row, "info", "the domain "+nameOf(host)+" leads to it", by)
	m.cfg.Apps.Reroute(app, env)
	m.Changed()
	d := m.view(row)
	m.cfg.Publish("domain", host, d)
	return d, nil
}

func (m *Manager) taken(ctx context.Context, host string) error {
	row, ok, err := m.cfg.Store.Domain(ctx, host)
	if err != nil || !ok {
		return errors.Join(err, agent.Errorf(agent.CodeConflict, "try again", "%s was a domain a moment ago", host))
	}
	by := row.App + "/" + string(row.Environment)
	return &agent.Error{
		Code: agent.CodeConflict, Message: fmt.Sprintf("%s already leads to %s", nameOf(host), by),
		Fix: "take it from there first: hks domains remove " + host, Details: map[string]any{"host": host, "app": by},
	}
}

// List lists the domains by host: of one app or environment where it is named.
func (m *Manager) List(ctx context.Context, app string, env agent.Environment) ([]agent.Domain, error) {
	rows, err := m.cfg.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	domains := []agent.Domain{}
	for _, row := range rows {
		if (app == "" || app == row.App) && (env == "" || env == row.Environment) {
			domains = append(domains, m.view(row))
		}
	}
	return domains, nil
}

// Get returns one domain.
func (m *Manager) Get(ctx context.Context, host string) (agent.Domain, error) {
	row, err := m.row(ctx, host)
	if err != nil {
		return agent.Domain{}, err
	}
	return m.view(row), nil
}

// Check looks at a domain now and returns what was seen.
func (m *Manager) Check(ctx context.Context, host string) (agent.Domain, error) {
	row, err := m.row(ctx, host)
	if err != nil {
		return agent.Domain{}, err
	}
	return m.lookNow(ctx, row.Host, row.Host)
}

// lookNow looks after all domains, and checks the one named; it returns the
// domain of host.
func (m *Manager) lookNow(ctx context.Context, check, host string) (agent.Domain, error) {
	defer m.Changed() // what was seen may want another look soon
	if _, err := m.look(ctx, check); err != nil {
		return agent.Domain{}, away(err)
	}
	return m.Get(ctx, host)
}

// Retry asks the authority again now, though a try has failed. Unless anyway is
// set it refuses while DNS or ports are seen to be wrong: an authority allows
// few failures.
func (m *Manager) Retry(ctx context.Context, host string, anyway bool, by string) (agent.Domain, error) {
	d, err := m.Check(ctx, host)
	if err != nil {
		return agent.Domain{}, err
	}
	switch {
	case d.Certificate.Source == agent.CertificateOwn:
		return agent.Domain{}, agent.Errorf(agent.CodeConflict, "hks domains cert "+d.Host+" --remove lets go of it", "%s has a certificate of your own", d.Name)
	case !m.cfg.ACME || strings.HasPrefix(d.Host, "*."):
		return agent.Domain{}, &agent.Error{Code: agent.CodeConflict, Message: d.Reason, Fix: d.Fix}
	case !anyway && !d.Check.OK():
		reason, fix := checkWords(d)
		return agent.Domain{}, &agent.Error{
			Code: agent.CodeConflict, Message: reason,
			Fix: fix + "; if you know that it is right (this machine may not reach its own public address): hks domains retry " + d.Host + " --anyway",
		}
	}
	if err := m.cfg.Store.RetryDomain(ctx, d.Host); err != nil {
		return agent.Domain{}, err
	}
	m.cfg.Activity(ctx, agent.Activity{Level: "info", Subject: d.App + "/" + string(d.Environment), Message: "asking again for a certificate for " + d.Name, By: by})
	return m.lookNow(ctx, "", d.Host)
}

// SetCertificate uses a certificate of the owner's own for a domain, as PEM
// with the leaf first; an empty chain lets go of it.
func (m *Manager) SetCertificate(ctx context.Context, host, chain, key, by string) (agent.Domain, error) {
	row, err := m.row(ctx, host)
	if err != nil {
		return agent.Domain{}, err
	}
	message := "the own certificate of " + nameOf(row.Host) + " was taken away"
	if chain != "" {
		leaf, err := checkCertificate(row.Host, chain, key, m.cfg.Now())
		if err != nil {
			return agent.Domain{}, err
		}
		message = fmt.Sprintf("%s has a certificate of its owner's, by %s, until %s", nameOf(row.Host), issuerOf(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if err := m.cfg.Store.PutDomainCertificate(ctx, row.Host, chain, key); err != nil {
		return agent.Domain{}, err
	}
	m.tell(ctx, row, "info", message, by)
	return m.lookNow(ctx, "", row.Host)
}

// Remove lets go of a domain.
func (m *Manager) Remove(ctx context.Context, host, by string) error {
	row, err := m.row(ctx, host)
	if err != nil {
		return err
	}
	if err := m.cfg.Store.RemoveDomain(ctx, row.Host); err != nil {
		return err
	}
	m.tell(ctx, row, "info", "the domain "+nameOf(row.Host)+" no longer leads to it", by)
	m.cfg.Apps.Reroute(row.App, row.Environment)
	m.cfg.Publish("domain", row.Host, nil)
	m.Changed()
	return nil
}

func (m *Manager) row(ctx context.Context, host string) (store.Domain, error) {
	host, err := parseHost(host)
	if err != nil {
		return store.Domain{}, err
	}
	row, ok, err := m.cfg.Store.Domain(ctx, host)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks domains list shows what there is", "there is no domain %s", nameOf(host))
	}
	return row, err
}

// view is a domain as people see it: what was last seen of it.
func (m *Manager) view(row store.Domain) agent.Domain {
	d := row.Seen
	d.Host, d.Name, d.App, d.Environment, d.Component = row.Host, nameOf(row.Host), row.App, row.Environment, row.Component
	d.CreatedAt, d.By = row.CreatedAt, row.By
	if d.Status == "" {
		d.Status = agent.DomainChecking
	}
	if !strings.HasPrefix(row.Host, "*.") {
		d.URL = "https://" + row.Host
		if m.cfg.Port != 0 {
			d.URL = "https://" + net.JoinHostPort(row.Host, strconv.Itoa(m.cfg.Port))
		}
	}
	return d
}

func (m *Manager) tell(ctx context.Context, row store.Domain, level, message, by string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: row.App + "/" + string(row.Environment), Message: message, By: by})
}
