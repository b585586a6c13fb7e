package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
)

// maxWaiting bounds the requests that wait for an endpoint at one time.
const maxWaiting = 2048

// maxResets bounds the tries of a request that ends the connections of the
// instances it is sent to: it may be what kills them.
const maxResets = 2

// statusClientGone is logged when the client went away before an answer.
const statusClientGone = 499

// routeHandler is the Caddy handler http.handlers.hks_route. It finds the
// route, chooses an endpoint, has the next handler (Caddy's reverse_proxy)
// proxy to it, and tries again where that is safe.
type routeHandler struct {
	gateway *Gateway
	log     *zap.Logger  // one line a request
	waiting atomic.Int64 // requests that wait for an endpoint
}

// CaddyModule names the module.
func (*routeHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.hks_route", New: func() caddy.Module { return new(routeHandler) }}
}

// Provision gets hold of the gateway.
func (h *routeHandler) Provision(ctx caddy.Context) error {
	gateway, err := gatewayOf(ctx)
	h.gateway, h.log = gateway, ctx.Logger()
	return err
}

// call is one request on its way; the upstream module finds it in the
// request's variables.
type call struct {
	host, path string
	start      time.Time
	deadline   time.Time // until then it waits for endpoints
	stats      *routeStats
	service    string
	endpoint   *endpoint
	retries    int
	resets     int  // tries that ended after a connection was made
	final      bool // the try after the deadline is taken
	replayable bool // may be sent again though it may have been received
	body       *watchedBody
}

// callKey is the request variable that holds the *call.
const callKey = "hks.call"

// ServeHTTP serves one request to its end, errors included.
func (h *routeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if f := h.gateway.calls.find(hostOf(r.Host)); f != nil {
		return h.serveFunction(w, r, f)
	}
	c := &call{host: hostOf(r.Host), path: r.URL.Path, start: time.Now(), replayable: isReplayable(r)}
	c.deadline = c.start.Add(h.gateway.cfg.Hold)
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		c.body = &watchedBody{ReadCloser: r.Body}
		r.Body = c.body
	}
	id := cleanHeaders(r)
	rec := &recorder{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	rec.Header()["X-Request-Id"] = []string{id}
	c.stats = h.gateway.metrics.unknown
	found := h.gateway.routes.load().find(c.host, c.path)
	if found != nil {
		c.stats = found.stats
	}
	h.gateway.requests.Add(1)
	c.stats.inFlight.Inc()
	defer h.finish(c, rec, r, id)
	if h.gateway.special(rec, r, c) {
		return nil
	}
	if found != nil && found.Maintenance {
		maintenance(c, found.Message).write(rec, r, id)
		return nil
	}
	caddyhttp.SetVar(r.Context(), callKey, c)
	if failure := h.serve(rec, r, next, c); failure != nil && !rec.started() {
		failure.write(rec, r, id)
	}
	return nil
}

// finish counts and logs the request, also when the proxy aborts the
// connection by a panic.
func (h *routeHandler) finish(c *call, rec *recorder, r *http.Request, id string) {
	took := time.Since(c.start)
	c.stats.inFlight.Dec()
	c.stats.done(rec.status, took, c.retries)
	entry := h.log.Check(zap.InfoLevel, "request")
	if entry == nil {
		return
	}
	const most = 13 // fields, so that none is moved
	fields := append(make([]zap.Field, 0, most),
		zap.String("id", id), zap.String("client", clientOf(r)), zap.String("method", r.Method),
		zap.String("scheme", schemeOf(r)), zap.String("host", c.host), zap.String("path", c.path),
		zap.Int("status", rec.status), zap.Int64("bytes", rec.bytes),
		zap.Float64("ms", float64(took.Microseconds())/1000), zap.String("service", c.service))
	if c.endpoint != nil {
		fields = append(fields, zap.String("endpoint", c.endpoint.address))
	}
	if c.retries > 0 {
		fields = append(fields, zap.Int("retries", c.retries))
	}
	if rec.failure != "" {
		fields = append(fields, zap.String("error", rec.failure))
	}
	entry.Write(fields...)
}

// serve tries endpoints until one answered. It returns what to tell the
// client when none did.
func (h *routeHandler) serve(rec *recorder, r *http.Request, next caddyhttp.Handler, c *call) *failure {
	var last error
	for {
		if failure := h.acquire(r.Context(), c, last); failure != nil {
			return failure
		}
		err := h.attempt(rec, r, next, c)
		if err == nil {
			return nil
		}
		if r.Context().Err() != nil {
			return clientGone()
		}
		if !c.mayRetry(err) || rec.started() {
			return upstreamFailed(c, err)
		}
		last = err
		c.retries++
	}
}

// attempt proxies the request to the call's endpoint once.
func (h *routeHandler) attempt(rec *recorder, r *http.Request, next caddyhttp.Handler, c *call) error {
	e := c.endpoint
	e.inFlight.Add(1)
	defer e.inFlight.Add(-1)
	err := next.ServeHTTP(rec, r)
	if isDialError(err) && r.Context().Err() == nil {
		e.failed(time.Now())
	} else {
		e.reached()
	}
	return err
}

// acquire chooses an endpoint for the next try. While there is none it waits
// for one, until the call's deadline; last is the error of the try before. A
// try that took until after the deadline is followed by one more, if there is
// an endpoint that has not failed.
func (h *routeHandler) acquire(ctx context.Context, c *call, last error) *failure {
	router := h.gateway.routes.load()
	if done, failure := h.choose(router, c); done {
		if failure == nil && last != nil && time.Now().After(c.deadline) {
			if c.final || c.endpoint.failures.Load() > 0 {
				return upstreamFailed(c, last)
			}
			c.final = true
		}
		return failure
	}
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return noReadyInstance(c)
	}
	defer h.waiting.Add(-1)
	timeout := time.NewTimer(time.Until(c.deadline))
	defer timeout.Stop()
	for {
		router = h.gateway.routes.load()
		found := router.find(c.host, c.path)
		if found == nil {
			return noRoute(c.host)
		}
		chosen, again := router.services[found.Service].choose(time.Now(), c.endpoint)
		if chosen != nil {
			c.service, c.endpoint = found.Service, chosen
			return nil
		}
		var soon <-chan time.Time // nil, for ever, without any endpoint
		if again > 0 {
			soon = time.After(again)
		}
		select {
		case <-router.replaced:
		case <-soon:
		case <-timeout.C:
			if last == nil || again == 0 {
				return noReadyInstance(c) // nothing is listed, or nothing was to be had
			}
			return upstreamFailed(c, last)
		case <-ctx.Done():
			return clientGone()
		}
	}
}

// choose finds the route and an endpoint at once, the common case.
func (h *routeHandler) choose(router *router, c *call) (done bool, _ *failure) {
	found := router.find(c.host, c.path)
	if found == nil {
		return true, noRoute(c.host)
	}
	c.service = found.Service
	chosen, _ := router.services[found.Service].choose(time.Now(), c.endpoint)
	if chosen == nil {
		return false, nil
	}
	c.endpoint = chosen
	return true, nil
}

// mayRetry tells whether the request may be sent again after err: always
// when no connection was made; else only what has no effect and no body.
func (c *call) mayRetry(err error) bool {
	if c.body != nil && c.body.touched.Load() {
		return false
	}
	if isDialError(err) {
		return true
	}
	c.resets++
	return c.replayable && c.resets <= maxResets && isConnectionError(err)
}

func isReplayable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.ContentLength == 0 && r.Header.Get("Upgrade") == ""
	}
	return false
}

func isDialError(err error) bool {
	_, ok := errors.AsType[reverseproxy.DialError](err)
	return ok
}

// isConnectionError tells whether the connection ended before there was an
// answer, as it does when an instance dies. A time-out is not one.
func isConnectionError(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return false
	}
	return true
}
