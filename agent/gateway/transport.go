package gateway

import (
	"context"
	"errors"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// transport is the Caddy module http.reverse_proxy.transport.hks: Caddy's own
// HTTP transport, which gives up a dial as soon as the table drops the
// address, and does not try one that would lead out of the machine. The address
// of a pod that is gone does not refuse, it is silent.
type transport struct {
	reverseproxy.HTTPTransport
	routes *holder
}

// CaddyModule names the module.
func (*transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.hks", New: func() caddy.Module { return new(transport) }}
}

// Provision makes Caddy's transport and puts the watch around its dials.
func (t *transport) Provision(ctx caddy.Context) error {
	gateway, err := gatewayOf(ctx)
	if err != nil {
		return err
	}
	t.routes = gateway.routes
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	dial := t.Transport.DialContext
	t.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !hasWay(address) {
			return nil, reverseproxy.NewDialError(errNoWay)
		}
		ctx, stop := t.routes.whileListed(ctx, address)
		defer stop()
		conn, err := dial(ctx, network, address)
		if errors.Is(context.Cause(ctx), errUnlisted) && err != nil {
			return nil, reverseproxy.NewDialError(errUnlisted)
		}
		return conn, err
	}
	return nil
}

// errUnlisted is why a dial was given up.
var errUnlisted = errors.New("the instance ended before it was reached")

// whileListed returns a context that ends when the table drops the address.
func (h *holder) whileListed(ctx context.Context, address string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			router := h.load()
			if !router.addresses[address] {
				cancel(errUnlisted)
				return
			}
			select {
			case <-router.replaced:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
