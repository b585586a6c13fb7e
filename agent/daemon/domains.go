package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/domain"
)

// domains makes what looks after custom domains.
func (p *parts) buildDomains(cfg Config, gateway *gatewayClient, hub *api.Hub, journal *api.Journal) error {
	settings := cfg.Settings.Gateway
	network := domain.Network{Resolver: domain.NewResolver(settings.ACME.Resolver)}
	for _, address := range settings.Addresses {
		parsed, err := netip.ParseAddr(address)
		if err != nil {
			return fmt.Errorf("gateway.addresses: %w", err)
		}
		network.Addresses = append(network.Addresses, parsed)
	}
	var err error
	if network.HTTPPort, err = portOf(settings.HTTP); err != nil {
		return err
	}
	if network.HTTPSPort, err = portOf(settings.HTTPS); err != nil {
		return err
	}
	shown := network.HTTPSPort
	if shown == httpsPort {
		shown = 0
	}
	p.domains, err = domain.New(domain.Config{
		Store: p.store, Apps: p.apps, Gateway: gateway, Checker: network, ACME: !settings.ACME.Off(), Port: shown,
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	return err
}

// httpsPort is the one that URLs leave out.
const httpsPort = 443

func portOf(address string) (int, error) {
	_, number, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("the gateway's address: %w", err)
	}
	port, err := net.LookupPort("tcp", number)
	if err != nil {
		return 0, fmt.Errorf("the gateway's port: %w", err)
	}
	return port, nil
}

// gatewayRevision tells one set of the gateway's start settings from another:
// it reads them once.
func gatewayRevision(g config.Gateway) string {
	return fmt.Sprintf("%s %s %v", g.HTTP, g.HTTPS, g.ACME)
}

// PutDomains tells the gateway the custom domains; it answers when they are on
// its disk and in use.
func (g *gatewayClient) PutDomains(ctx context.Context, domains []agent.GatewayDomain) ([]agent.GatewayCertificate, error) {
	body, err := json.Marshal(domains)
	if err != nil {
		return nil, fmt.Errorf("telling the gateway the domains: %w", err)
	}
	answer, err := g.ask(ctx, http.MethodPut, "/domains", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var states []agent.GatewayCertificate
	if err := json.Unmarshal(answer, &states); err != nil {
		return nil, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return states, nil
}

// ID is what the gateway answers at agent.GatewayProbe.
func (g *gatewayClient) ID(ctx context.Context) (string, error) {
	answer, err := g.ask(ctx, http.MethodGet, "/healthz", nil)
	if err != nil {
		return "", err
	}
	var health struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &health); err != nil {
		return "", fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return health.ID, nil
}
