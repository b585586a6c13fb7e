package double

import (
	"context"
	"errors"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// claims is domain.Apps over the made-up apps.
type claims struct{ *world }

func (w claims) Claim(ctx context.Context, app string, env agent.Environment, _, host string) error {
	if strings.HasSuffix(host, "localhost") {
		return agent.Errorf(agent.CodeInvalid, "choose a host of your own", "the host %s is the appliance's own", host)
	}
	_, err := apps(w).Get(ctx, app, env)
	return err
}

func (claims) Reroute(string, agent.Environment) {}

// edge is domain.Gateway and domain.Checker. What a host's name contains
// decides: "astray" points elsewhere, "closed" has port 80 shut, "refused" gets
// no certificate.
type edge struct {
	*world
	asked map[string]time.Time // by host; the manager asks one question at a time
}

func (edge) ID(context.Context) (string, error) { return "double", nil }

func (e *edge) PutDomains(_ context.Context, domains []agent.GatewayDomain) ([]agent.GatewayCertificate, error) {
	if e.life.Err() != nil {
		return nil, errors.New("the double ends")
	}
	now := time.Now().UTC()
	states := make([]agent.GatewayCertificate, 0, len(domains))
	for _, d := range domains {
		state := agent.GatewayCertificate{Host: d.Host}
		first, known := e.asked[d.Host]
		switch {
		case d.Chain != "":
			state.Certificate = agent.Certificate{Source: agent.CertificateOwn, Issuer: "an authority of your own", Names: []string{d.Host}, Serial: "2", ValidFrom: now, ValidUntil: now.AddDate(1, 0, 0).Truncate(24 * time.Hour)}
		case !d.Ask || strings.HasPrefix(d.Host, "*."):
		case !known:
			e.asked[d.Host] = now
			state.Asking = true
		case now.Sub(first) < time.Duration(float64(2*time.Second)/e.speed):
			state.Asking = true
		case strings.Contains(d.Host, "refused"):
			state.Error, state.Tries, state.LastTry = "policy forbids issuing for this name (urn:ietf:params:acme:error:rejectedIdentifier)", 1, first
			state.NextTry = first.Add(time.Hour)
		default:
			state.Certificate = agent.Certificate{Source: agent.CertificateACME, Issuer: "Made-up Authority", Names: []string{d.Host}, Serial: "1", ValidFrom: first, ValidUntil: first.AddDate(0, 0, 90), RenewAt: first.AddDate(0, 0, 60)}
		}
		states = append(states, state)
	}
	return states, nil
}

func (*edge) Check(_ context.Context, host, _ string) agent.DomainCheck {
	check := agent.DomainCheck{Addresses: []string{"192.0.2.2"}, Expected: []string{"192.0.2.2"},
		DNS: agent.Look{OK: true, Message: "the name " + host + " points to 192.0.2.2"}, HTTP: agent.Look{OK: true, Message: "port 80 leads to this appliance"}, HTTPS: agent.Look{OK: true, Message: "port 443 leads to this appliance"}}
	switch {
	case strings.Contains(host, "astray"):
		check.Addresses = []string{"198.51.100.7"}
		check.DNS = agent.Look{Message: "the name " + host + " points to 198.51.100.7; it should point to 192.0.2.2"}
		check.HTTP = agent.Look{Message: "port 80 of 198.51.100.7 does not lead to this appliance: no answer in time"}
		check.HTTPS = agent.Look{Message: "port 443 of 198.51.100.7 does not lead to this appliance: no answer in time"}
	case strings.Contains(host, "closed"):
		check.HTTP = agent.Look{Message: "port 80 of 192.0.2.2 does not lead to this appliance: connection refused"}
	}
	return check
}

// SetMaintenance turns the page on or off.
func (w apps) SetMaintenance(_ context.Context, name string, env agent.Environment, on bool, message, by string) (agent.App, error) {
	return w.update(name, env, func(a *app) {
		a.app.Maintenance = nil
		if on {
			a.app.Maintenance = &agent.Maintenance{On: true, Message: message, Since: time.Now().UTC(), By: by, Applied: true}
		}
	})
}
