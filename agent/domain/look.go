package domain

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// How often domains are looked at.
const (
	soon        = time.Second      // while a certificate is being asked for
	again       = 15 * time.Second // while something is missing, at first
	later       = 2 * time.Minute  // the same after a while
	whileNew    = 10 * time.Minute
	whileValid  = time.Hour
	gatewayAway = 2 * time.Second

	checkWithin = 20 * time.Second
	atATime     = 8
	// anyway is how long an asked-for retry goes over a check that says no.
	anyway = 10 * time.Minute
	// endsSoon is when an own certificate is told to end.
	endsSoon = 14 * 24 * time.Hour
)

func (m *Manager) run(ctx context.Context) {
	for {
		wait, err := m.look(ctx, "")
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "looking after domains", "error", err)
			wait = gatewayAway
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// look checks the domains that are due, and the one named, tells the gateway,
// and keeps what was seen. It tells when to look again.
func (m *Manager) look(ctx context.Context, now string) (time.Duration, error) {
	m.looking.Lock()
	defer m.looking.Unlock()
	rows, err := m.cfg.Store.Domains(ctx)
	if err != nil {
		return 0, err
	}
	// The gateway must know a name before a look at its port 443 can succeed.
	states, err := m.cfg.Gateway.PutDomains(ctx, m.told(rows))
	if err != nil {
		return 0, awayError{err}
	}
	if checked, err := m.check(ctx, rows, now); err != nil {
		return 0, awayError{err}
	} else if checked {
		if states, err = m.cfg.Gateway.PutDomains(ctx, m.told(rows)); err != nil {
			return 0, awayError{err}
		}
	}
	byHost := map[string]agent.GatewayCertificate{}
	for _, state := range states {
		byHost[state.Host] = state
	}
	m.tellGone(rows)
	wait := whileValid
	for _, row := range rows {
		next := m.derive(row, byHost[row.Host])
		if err := m.see(ctx, row, next); err != nil {
			return 0, err
		}
		row.Seen = next
		left := m.checkAt(row).Sub(m.cfg.Now())
		if next.Status == agent.DomainAsking {
			left = soon
		}
		if !next.NextTry.IsZero() {
			left = min(left, next.NextTry.Sub(m.cfg.Now()))
		}
		wait = min(wait, max(left, soon))
	}
	return wait, nil
}

// tellGone tells of domains that went since the last look, as with their app.
func (m *Manager) tellGone(rows []store.Domain) {
	now := make(map[string]bool, len(rows))
	for _, row := range rows {
		now[row.Host] = true
	}
	for host := range m.known {
		if !now[host] {
			m.cfg.Publish("domain", host, nil)
		}
	}
	m.known = now
}

// awayError is an error of the gateway.
type awayError struct{ error }

// Unwrap returns the gateway's own error.
func (e awayError) Unwrap() error { return e.error }

// away words an error of the gateway for whoever asked for a look.
func away(err error) error {
	if _, ok := errors.AsType[awayError](err); !ok {
		return err
	}
	return &agent.Error{
		Code: agent.CodeClusterAway, Message: "the gateway does not answer, so domains can't be looked at",
		Fix: "see how it is: hks status", Cause: err,
	}
}

// told is what the gateway is told of the domains.
func (m *Manager) told(rows []store.Domain) []agent.GatewayDomain {
	list := make([]agent.GatewayDomain, 0, len(rows))
	for _, row := range rows {
		forced := !row.RetryAt.IsZero() && m.cfg.Now().Sub(row.RetryAt) < anyway
		list = append(list, agent.GatewayDomain{
			Host: row.Host, Ask: row.Seen.Check.OK() || forced, Retry: row.RetryAt, Chain: row.Chain, Key: row.Key,
		})
	}
	return list
}

// check looks where the domains lead to that are due, and writes it into rows.
func (m *Manager) check(ctx context.Context, rows []store.Domain, now string) (some bool, err error) {
	var work sync.WaitGroup
	slots := make(chan struct{}, atATime)
	id := ""
	for i := range rows {
		row := &rows[i]
		if row.Host != now && m.cfg.Now().Before(m.checkAt(*row)) {
			continue
		}
		if id == "" {
			if id, err = m.cfg.Gateway.ID(ctx); err != nil {
				break
			}
		}
		some = true
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			limited, cancel := context.WithTimeout(ctx, checkWithin)
			defer cancel()
			check := m.cfg.Checker.Check(limited, row.Host, id)
			if ctx.Err() == nil {
				row.Seen.Check, row.Seen.CheckedAt = check, m.cfg.Now().UTC()
			}
		})
	}
	work.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return some, err
}

// checkAt is when a domain is to be checked again.
func (m *Manager) checkAt(row store.Domain) time.Time {
	seen := row.Seen
	switch {
	case seen.CheckedAt.IsZero():
		return time.Time{}
	case seen.Check.OK():
		return seen.CheckedAt.Add(whileValid)
	case m.cfg.Now().Sub(row.CreatedAt) < whileNew:
		return seen.CheckedAt.Add(again)
	}
	return seen.CheckedAt.Add(later)
}

// derive tells how a domain is from what was seen of it and what the gateway
// says of its certificate.
func (m *Manager) derive(row store.Domain, state agent.GatewayCertificate) agent.Domain {
	d := m.view(row)
	d.Certificate, d.Tries, d.NextTry, d.Reason, d.Fix = state.Certificate, state.Tries, state.NextTry, "", ""
	now := m.cfg.Now()
	reason, fix := checkWords(d)
	has := d.Certificate.Source != "" && now.Before(d.Certificate.ValidUntil)
	switch {
	case d.Certificate.Source == agent.CertificateOwn && !has:
		d.Status, d.Reason = agent.DomainFailed, "your certificate ended on "+d.Certificate.ValidUntil.Format(time.DateOnly)
		d.Fix = "upload the next one: hks domains cert " + row.Host + " --cert FILE --key FILE"
	case d.Certificate.Source == agent.CertificateOwn && reason == "":
		d.Status = agent.DomainValid
		if left := d.Certificate.ValidUntil.Sub(now); left < endsSoon {
			d.Reason = fmt.Sprintf("your certificate ends in %d days", int(left.Hours()/24))
			d.Fix = "upload the next one: hks domains cert " + row.Host + " --cert FILE --key FILE"
		}
	case has && d.Certificate.Source == agent.CertificateACME:
		d.Status = agent.DomainValid
		switch {
		case state.Error != "":
			d.Reason, d.Fix = "it was not renewed: "+state.Error, "hks domains check "+row.Host
		case reason != "":
			d.Reason, d.Fix = reason, fix
		}
	case strings.HasPrefix(row.Host, "*.") && d.Certificate.Source == "":
		d.Status, d.Reason = agent.DomainWaiting, "an authority gives no certificate for all names below one without a look into DNS, so this needs one of your own"
		d.Fix = "hks domains cert '" + row.Host + "' --cert FILE --key FILE"
	case !m.cfg.ACME && d.Certificate.Source == "":
		d.Status, d.Reason = agent.DomainWaiting, "no certificate authority is asked: gateway.acme.directory is off"
		d.Fix = "upload a certificate: hks domains cert " + row.Host + " --cert FILE --key FILE"
	case state.Asking:
		d.Status = agent.DomainAsking
	case state.Error != "" && !row.RetryAt.After(state.LastTry):
		d.Status, d.Reason, d.Fix = agent.DomainFailed, state.Error, "mend what it says, then: hks domains retry "+row.Host
	case d.CheckedAt.IsZero():
		d.Status = agent.DomainChecking
	case reason != "" && now.Sub(row.RetryAt) >= anyway:
		d.Status, d.Reason, d.Fix = agent.DomainWaiting, reason, fix
	default:
		d.Status = agent.DomainAsking
	}
	return d
}

// checkWords is what keeps a domain from being right; empty: nothing, or it
// was not looked at.
func checkWords(d agent.Domain) (reason, fix string) {
	c := d.Check
	switch {
	case d.CheckedAt.IsZero() || c.OK():
		return "", ""
	case !c.DNS.OK:
		fix = "set its A or AAAA record, or a CNAME, at your DNS provider"
		if len(c.Expected) > 0 {
			fix = "point it to " + strings.Join(c.Expected, " or ") + " at your DNS provider"
		}
		return c.DNS.Message, fix + "; it is looked at again by itself"
	case !c.HTTP.OK:
		return c.HTTP.Message, "open port 80 in the firewall and forward it to this machine"
	}
	return c.HTTPS.Message, "open port 443 in the firewall and forward it to this machine"
}

// see keeps what is new of a domain, and tells it.
func (m *Manager) see(ctx context.Context, row store.Domain, next agent.Domain) error {
	before, ok, err := m.cfg.Store.Domain(ctx, row.Host)
	if err != nil || !ok || reflect.DeepEqual(before.Seen, next) {
		return err // it may have been removed meanwhile
	}
	if err := m.cfg.Store.SeeDomain(ctx, row.Host, next); err != nil {
		return err
	}
	was := before.Seen
	was.CheckedAt, was.Check = next.CheckedAt, next.Check
	if reflect.DeepEqual(was, next) && reflect.DeepEqual(before.Seen.Check, next.Check) {
		return nil // looked at once more, and the same
	}
	m.cfg.Publish("domain", row.Host, next)
	if level, message := news(before.Seen, next); message != "" {
		m.tell(ctx, row, level, message, "")
	}
	return nil
}

// news is what to say of a change; empty: nothing.
func news(before, next agent.Domain) (level, message string) {
	until := next.Certificate.ValidUntil.Format(time.DateOnly)
	switch {
	case next.Status == agent.DomainValid && before.Status != agent.DomainValid:
		return "info", fmt.Sprintf("%s has a certificate, by %s, until %s", next.Name, next.Certificate.Issuer, until)
	case next.Status == agent.DomainValid && next.Certificate.Serial != before.Certificate.Serial:
		return "info", fmt.Sprintf("the certificate of %s was renewed, until %s", next.Name, until)
	case next.Reason == "" || (next.Reason == before.Reason && next.Status == before.Status):
		return "", ""
	case next.Status == agent.DomainFailed:
		return "error", fmt.Sprintf("no certificate for %s: %s", next.Name, next.Reason)
	case next.Status == agent.DomainValid:
		return "warning", fmt.Sprintf("the certificate of %s: %s", next.Name, next.Reason)
	}
	return "warning", fmt.Sprintf("%s waits: %s", next.Name, next.Reason)
}
