package client

import (
	"context"
	"net/http"
	"net/url"

	"hks.dev/hks/agent"
)

func domainPath(host, more string) string { return "/api/domains/" + url.PathEscape(host) + more }

// Domains lists custom domains by host: of one app or environment where it is
// named, else all.
func (c *Client) Domains(ctx context.Context, app string, env agent.Environment) ([]agent.Domain, error) {
	query := url.Values{}
	if app != "" {
		query.Set("app", app)
	}
	if env != "" {
		query.Set("environment", string(env))
	}
	var domains []agent.Domain
	err := c.call(ctx, http.MethodGet, "/api/domains?"+query.Encode(), nil, &domains)
	return domains, err
}

// Domain returns one domain.
func (c *Client) Domain(ctx context.Context, host string) (agent.Domain, error) {
	return c.domain(ctx, http.MethodGet, domainPath(host, ""), nil)
}

// AddDomain makes a host lead to an application, or to one component of it.
func (c *Client) AddDomain(ctx context.Context, app string, env agent.Environment, component, host string) (agent.Domain, error) {
	return c.domain(ctx, http.MethodPost, appPath(app, env, "/domains"), struct {
		Host      string `json:"host"`
		Component string `json:"component,omitempty"`
	}{host, component})
}

// CheckDomain looks where a domain leads to, now.
func (c *Client) CheckDomain(ctx context.Context, host string) (agent.Domain, error) {
	return c.domain(ctx, http.MethodPost, domainPath(host, "/check"), nil)
}

// RetryDomain asks the certificate authority again now; anyway does so although
// DNS or ports look wrong from the appliance.
func (c *Client) RetryDomain(ctx context.Context, host string, anyway bool) (agent.Domain, error) {
	path := domainPath(host, "/retry")
	if anyway {
		path += "?anyway=true"
	}
	return c.domain(ctx, http.MethodPost, path, nil)
}

// SetDomainCertificate uses a certificate of the owner's own, with its key,
// both as PEM.
func (c *Client) SetDomainCertificate(ctx context.Context, host, certificate, key string) (agent.Domain, error) {
	return c.domain(ctx, http.MethodPut, domainPath(host, "/certificate"), struct {
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}{certificate, key})
}

// RemoveDomainCertificate lets go of the owner's own certificate.
func (c *Client) RemoveDomainCertificate(ctx context.Context, host string) (agent.Domain, error) {
	return c.domain(ctx, http.MethodDelete, domainPath(host, "/certificate"), nil)
}

// RemoveDomain lets go of a domain.
func (c *Client) RemoveDomain(ctx context.Context, host string) error {
	return c.call(ctx, http.MethodDelete, domainPath(host, ""), nil, nil)
}

// Maintenance turns an application's maintenance page on or off.
func (c *Client) Maintenance(ctx context.Context, app string, env agent.Environment, on bool, message string) (agent.App, error) {
	return c.act(ctx, app, env, "/maintenance", struct {
		On      bool   `json:"on"`
		Message string `json:"message,omitempty"`
	}{on, message})
}

func (c *Client) domain(ctx context.Context, method, path string, in any) (agent.Domain, error) {
	var d agent.Domain
	err := c.callWithin(ctx, slowTimeout, method, path, in, &d)
	return d, err
}
