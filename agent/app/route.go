package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"hks.dev/hks/agent"
)

// RouteConfig says where the gateway listens.
type RouteConfig struct {
	HTTP    string        // address:port that http URLs are sent to
	HTTPS   string        // address:port that https URLs are sent to
	Timeout time.Duration // until a URL has to have answered; default 15 s
}

// Route asks URLs through the gateway of this machine, whatever their host
// names resolve to.
type Route struct {
	cfg    RouteConfig
	client *http.Client
}

// Waits between attempts.
const (
	routeFirstWait = 20 * time.Millisecond
	routeLastWait  = 500 * time.Millisecond
	routeAttempt   = 10 * time.Second // the gateway itself holds a request while no endpoint is ready
)

// headerGatewayError marks the gateway's own answers.
const headerGatewayError = "X-Hks-Error"

// gatewayMaintenance is the gateway's word for the owner's maintenance page.
const gatewayMaintenance = "MAINTENANCE"

// NewRoute makes the checker; it dials nothing.
func NewRoute(cfg RouteConfig) (*Route, error) {
	for _, address := range []string{cfg.HTTP, cfg.HTTPS} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("the gateway's address %q: %w", address, err)
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Second
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	dial := func(to string) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, to)
		}
	}
	plain, secure := newTransport(dial(cfg.HTTP)), newTransport(dial(cfg.HTTPS))
	// What is proved is that the gateway of this machine routes the host to the
	// app; the certificate's trust is the browser's matter.
	secure.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // see above
	return &Route{cfg: cfg, client: &http.Client{
		Transport: byScheme{http: plain, https: secure},
		// A redirect is an answer of the app.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func newTransport(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	return &http.Transport{DialContext: dial, DisableKeepAlives: true, Proxy: nil, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10}
}

type byScheme struct{ http, https *http.Transport }

func (b byScheme) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return b.https.RoundTrip(r)
	}
	return b.http.RoundTrip(r)
}

// Check asks the URL until the app behind it answers, with any status of its
// own, or the time is up.
func (r *Route) Check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	wait := routeFirstWait
	for {
		err := r.attempt(ctx, url)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("asking %s: %w", url, ctx.Err())
			}
			return &agent.Error{
				Code:    agent.CodeRollout,
				Message: fmt.Sprintf("%s does not answer through the gateway: %s", url, routeWords(err)),
				Fix:     "see whether the gateway is well (hks status) and deploy again",
				Cause:   err,
			}
		case <-timer.C:
		}
		wait = min(2*wait, routeLastWait)
	}
}

// gatewayError is an answer of the gateway in place of the app's.
type gatewayError struct{ code string }

func (e gatewayError) Error() string {
	switch e.code {
	case "NO_ROUTE":
		return "the gateway does not know the route"
	case "NO_READY_INSTANCE":
		return "the gateway sees no ready instance"
	case "UPSTREAM_FAILED":
		return "the gateway can't reach the instance"
	}
	return "the gateway answers " + e.code
}

func (r *Route) attempt(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, routeAttempt)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	request.Header.Set("User-Agent", "hks-route-check")
	response, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing of it is needed
	// The maintenance page comes by the app's route, so the route is there.
	if code := response.Header.Get(headerGatewayError); code != "" && code != gatewayMaintenance {
		return gatewayError{code}
	}
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // the head was the answer
	return nil
}

// routeWords is the inner part of an error of net/http.
func routeWords(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if e, ok := errors.AsType[gatewayError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
