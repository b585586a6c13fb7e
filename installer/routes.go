package installer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// Bounds of a look at the routes.
const (
	mostRoutes  = 50
	routeLimit  = 5 * time.Second
	routesLimit = 30 * time.Second
)

// answeringRoutes lists the addresses of apps that answer now. What does not
// answer before a change says nothing after it.
func (m *machine) answeringRoutes(ctx context.Context) ([]string, error) {
	c, err := m.client()
	if err != nil {
		return nil, err
	}
	apps, err := c.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the apps: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, routesLimit)
	defer cancel()
	var routes []string
	for _, app := range apps {
		if app.Status == agent.AppRunning && app.URL != "" && len(routes) < mostRoutes && m.askRoute(ctx, app.URL) == nil {
			routes = append(routes, app.URL)
		}
	}
	return routes, nil
}

// waitRoutes waits until all of routes answer.
func (m *machine) waitRoutes(ctx context.Context, routes []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	left := slices.Clone(routes)
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for {
		var last error
		left = slices.DeleteFunc(left, func(route string) bool {
			err := m.askRoute(ctx, route)
			if err != nil {
				last = err
			}
			return err == nil
		})
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("what answered before does not answer any more: %s (%w)", strings.Join(left, ", "), last)
		case <-tick.C:
		}
	}
}

// askRoute asks this machine's own gateway for an app's page. An app that
// answers with an error of its own is reached; 502 to 504 are the gateway's.
func (m *machine) askRoute(ctx context.Context, route string) error {
	u, err := url.Parse(route)
	if err != nil {
		return fmt.Errorf("the address %q: %w", route, err)
	}
	listen := m.settings.Gateway.HTTPS
	if u.Scheme == "http" {
		listen = m.settings.Gateway.HTTP
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("the gateway's address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, routeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, route, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", route, err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		// The gateway of this very machine is asked whether it answers, not who it is.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}, //nolint:gosec // see above
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(host, port))
		},
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w", route, err)
	}
	defer func() { _ = response.Body.Close() }() // only its status counts
	if response.StatusCode >= http.StatusBadGateway && response.StatusCode <= http.StatusGatewayTimeout {
		return fmt.Errorf("%s answers %s", route, response.Status)
	}
	return nil
}
