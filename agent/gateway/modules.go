package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddypki"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/mholt/acmez/v3"
)

// Caddy makes modules by name from its settings, so a module cannot be handed
// a pointer. The settings name the Gateway by an id instead: the app "hks"
// looks it up once in the registry, and every other module asks Caddy for
// that app. Nothing else here is process-wide.
func init() {
	caddy.RegisterModule(&hksApp{})
	caddy.RegisterModule(&certificatesApp{})
	caddy.RegisterModule(&routeHandler{})
	caddy.RegisterModule(&upstreams{})
	caddy.RegisterModule(&transport{})
	caddy.RegisterModule(&permission{})
	caddy.RegisterModule(logFile{})
}

// registry holds the gateways that run, by id.
var registry gateways

type gateways struct {
	mu      sync.Mutex // guards running
	running map[string]*Gateway
}

func (g *gateways) add(gateway *Gateway) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.running) > 0 {
		return errors.New("a gateway runs in this process already")
	}
	g.running = map[string]*Gateway{gateway.id: gateway}
	return nil
}

func (g *gateways) remove(gateway *Gateway) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, gateway.id)
}

func (g *gateways) find(id string) *Gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running[id]
}

// hksApp is the Caddy app "hks": the way from Caddy's settings to the Gateway.
type hksApp struct {
	ID      string `json:"id"`
	gateway *Gateway
}

// CaddyModule names the module.
func (*hksApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hks", New: func() caddy.Module { return new(hksApp) }}
}

// Provision finds the gateway and shows it the local authority's root.
func (a *hksApp) Provision(ctx caddy.Context) error {
	if a.gateway = registry.find(a.ID); a.gateway == nil {
		return fmt.Errorf("no gateway %q runs in this process", a.ID)
	}
	app, err := ctx.App("pki")
	if err != nil {
		return fmt.Errorf("getting the local authority: %w", err)
	}
	authority, err := app.(*caddypki.PKI).GetCA(ctx, caddypki.DefaultCAID)
	if err != nil {
		return fmt.Errorf("getting the local authority: %w", err)
	}
	a.gateway.setRoot(authority.RootCertificate())
	return nil
}

// Start does nothing: the gateway was started before Caddy.
func (*hksApp) Start() error { return nil }

// Stop does nothing: the gateway stops Caddy, not the other way round.
func (*hksApp) Stop() error { return nil }

// gatewayOf returns the gateway that the settings name.
func gatewayOf(ctx caddy.Context) (*Gateway, error) {
	app, err := ctx.App("hks")
	if err != nil {
		return nil, fmt.Errorf("getting the gateway: %w", err)
	}
	return app.(*hksApp).gateway, nil
}

// upstreams is the Caddy module http.reverse_proxy.upstreams.hks: the
// endpoint that routeHandler chose for the request.
type upstreams struct{}

// CaddyModule names the module.
func (*upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.hks", New: func() caddy.Module { return new(upstreams) }}
}

// GetUpstreams returns the one endpoint to go to.
func (*upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	c, ok := caddyhttp.GetVar(r.Context(), callKey).(*call)
	if !ok || c.endpoint == nil {
		return nil, errors.New("the request did not come through hks_route")
	}
	return []*reverseproxy.Upstream{{Dial: c.endpoint.address}}, nil
}

// permission is the Caddy module tls.permission.hks: certificates are made
// for hosts that have a route or are custom domains, and for no others.
type permission struct{ gateway *Gateway }

// CaddyModule names the module.
func (*permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.hks", New: func() caddy.Module { return new(permission) }}
}

// Provision gets hold of the gateway.
func (p *permission) Provision(ctx caddy.Context) (err error) {
	p.gateway, err = gatewayOf(ctx)
	return err
}

// CertificateAllowed returns nil for such a host.
func (p *permission) CertificateAllowed(_ context.Context, name string) error {
	if host := hostOf(name); p.gateway.routes.load().knows(host) || p.gateway.domains.knows(host) || p.gateway.calls.find(host) != nil {
		return nil
	}
	return fmt.Errorf("%s has no route: %w", name, caddytls.ErrPermissionDenied)
}

// certificatesApp is the Caddy app "hks_certificates". It lets the TLS Secrets
// of Ingresses and the certificates of custom domains go before Caddy's own. Caddy's hook for foreign
// certificates comes after its cache, so a Secret that is added later would
// wait for the cached certificate to end.
type certificatesApp struct{}

// CaddyModule names the module.
func (*certificatesApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hks_certificates", New: func() caddy.Module { return new(certificatesApp) }}
}

// Provision puts the look-up in front of Caddy's, before any server listens.
func (*certificatesApp) Provision(ctx caddy.Context) error {
	gateway, err := gatewayOf(ctx)
	if err != nil {
		return err
	}
	app, err := ctx.App("http")
	if err != nil {
		return fmt.Errorf("getting the servers: %w", err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, policy := range server.TLSConnPolicies {
			own := policy.TLSConfig.GetCertificate
			policy.TLSConfig.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if slices.Contains(hello.SupportedProtos, acmez.ACMETLS1Protocol) && gateway.acme != nil {
					return gateway.acme.challenge(hello)
				}
				host := hostOf(hello.ServerName)
				if c := gateway.routes.load().certificate(host); c != nil {
					return c, nil
				}
				if c := gateway.domains.certificate(host); c != nil {
					return c, nil
				}
				return own(hello)
			}
		}
	}
	return nil
}

// Start does nothing.
func (*certificatesApp) Start() error { return nil }

// Stop does nothing.
func (*certificatesApp) Stop() error { return nil }
