package gateway

import (
	"io"
	"net"
	"net/http"

	"hks.dev/hks/agent"
)

// special answers requests that are not for the app: those of a certificate
// authority, those of the agent's own look at a domain, and those that a
// domain with a certificate got by plain HTTP.
func (g *Gateway) special(rec *recorder, r *http.Request, c *call) bool {
	if r.URL.Path == agent.GatewayProbe {
		rec.Header().Set("Content-Type", "text/plain; charset=utf-8")
		rec.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(rec, g.id) // who asked is gone; there is nobody else to tell
		return true
	}
	if r.TLS != nil {
		return false
	}
	if g.acme != nil && g.acme.answers(rec, r) {
		return true
	}
	if !g.domains.secure(c.host) {
		return false
	}
	to := *r.URL
	to.Scheme, to.Host = "https", c.host
	if _, port, err := net.SplitHostPort(g.cfg.HTTPS); err == nil && port != "443" {
		to.Host = net.JoinHostPort(c.host, port)
	}
	http.Redirect(rec, r, to.String(), http.StatusPermanentRedirect)
	return true
}
