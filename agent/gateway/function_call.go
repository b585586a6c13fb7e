package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"hks.dev/hks/agent"
)

const (
	keyHeader   = "X-Hks-Key"   // of a call to a private function; or Authorization: Bearer
	startHeader = "X-Hks-Start" // cold or warm, in answers
)

// errTimedOut ends a call that takes longer than its function may.
var errTimedOut = errors.New("the function took too long")

func newRecorder(w http.ResponseWriter) *recorder {
	return &recorder{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// serveFunction serves one call from outside to its end.
func (h *routeHandler) serveFunction(w http.ResponseWriter, r *http.Request, f *function) error {
	rec := newRecorder(w)
	begin := time.Now()
	defer func() {
		if entry := h.log.Check(zap.InfoLevel, "request"); entry != nil {
			entry.Write(zap.String("id", rec.Header().Get("X-Request-Id")), zap.String("client", clientOf(r)), zap.String("method", r.Method),
				zap.String("scheme", schemeOf(r)), zap.String("host", hostOf(r.Host)), zap.String("path", r.URL.Path), zap.Int("status", rec.status), zap.Int64("bytes", rec.bytes),
				zap.Float64("ms", float64(time.Since(begin).Microseconds())/1000), zap.String("service", "function/"+f.name), zap.String("error", rec.failure))
		}
	}()
	f.serve(rec, r, false)
	return nil
}

// serve makes one call; inside skips the key, for the agent's own.
func (f *function) serve(rec *recorder, r *http.Request, inside bool) {
	begin := time.Now()
	id := cleanHeaders(r)
	rec.Header()["X-Request-Id"] = []string{id}
	f.owner.gateway.requests.Add(1)
	f.stats.inFlight.Inc()
	defer func() {
		f.stats.inFlight.Dec()
		f.stats.done(rec.status, time.Since(begin), 0)
	}()
	f.mu.Lock()
	route := f.route
	f.mu.Unlock()
	failed := f.admit(r, route, inside)
	if failed == nil {
		failed = f.call(rec, r, route)
	}
	if failed != nil && !rec.started() {
		failed.write(rec, r, id)
	}
}

// admit checks key and size.
func (f *function) admit(r *http.Request, route agent.FunctionRoute, inside bool) *failure {
	key := r.Header.Get(keyHeader)
	if key == "" {
		key, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if route.KeyHash != "" && !inside {
		sum := sha256.Sum256([]byte(key))
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(route.KeyHash)) != 1 {
			return &failure{status: http.StatusUnauthorized, code: agent.CodeUnauthorized, message: fmt.Sprintf("The function %s is private.", route.Name),
				fix: "Send its key in the header X-Hks-Key; \"hks function show " + route.Name + "\" shows it."}
		}
		r.Header.Del("Authorization") // it was for the gateway
	}
	r.Header.Del(keyHeader)
	if r.ContentLength > agent.MaxFunctionPayload {
		return tooLarge(route)
	}
	return nil
}

func tooLarge(route agent.FunctionRoute) *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, code: agent.CodeTooLarge,
		message: fmt.Sprintf("A call of %s may have %d MB.", route.Name, agent.MaxFunctionPayload>>20), fix: "Keep the data elsewhere and send where it is."}
}

func timedOut(route agent.FunctionRoute) *failure {
	return &failure{status: http.StatusGatewayTimeout, code: "FUNCTION_TIMEOUT",
		message: fmt.Sprintf("The function %s did not answer within %d s and was stopped.", route.Name, route.Timeout), fix: "Have it do less, or raise timeout in its function.yaml."}
}

// call proxies to an instance. A dial that fails is tried on another: nothing
// was sent yet.
func (f *function) call(rec *recorder, r *http.Request, route agent.FunctionRoute) *failure {
	body := r.Body
	if body != nil {
		r.Body = http.MaxBytesReader(rec, body, agent.MaxFunctionPayload)
	}
	for tries := 0; ; tries++ {
		// Waiting for an instance does not count against the function.
		waiting, stop := context.WithTimeoutCause(r.Context(), claimWithin, errTimedOut)
		i, cold, failed := f.acquire(waiting)
		stop()
		if failed != nil {
			return failed
		}
		err := f.attempt(rec, r, route, i, cold)
		f.done(i)
		if err == nil {
			return nil
		}
		var dial *net.OpError
		notSent := errors.As(err, &dial) && dial.Op == "dial"
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return tooLarge(route)
		case r.Context().Err() != nil:
			return clientGone()
		case errors.Is(err, errTimedOut):
			f.broken(i)
			return timedOut(route)
		}
		f.broken(i)
		if !notSent || tries >= 2 || rec.started() {
			return &failure{status: http.StatusBadGateway, code: codeUpstream, cause: err,
				message: fmt.Sprintf("The function %s ended before it answered.", route.Name), fix: "\"hks function logs " + route.Name + "\" shows why; more memory may help."}
		}
	}
}

// broken has the agent replace an instance.
func (f *function) broken(i *instance) {
	f.drop(i)
	f.owner.gateway.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), claimWithin)
		defer cancel()
		if failed := f.owner.ask(ctx, "/broken?address="+i.address, nil); failed != nil {
			f.owner.gateway.log.Warn("an instance that does not answer can't be told to the agent", "address", i.address, "error", failed.cause)
		}
	})
}

// attempt sends the call to the instance once.
func (f *function) attempt(rec *recorder, r *http.Request, route agent.FunctionRoute, i *instance, cold bool) (failed error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), time.Duration(route.Timeout)*time.Second, errTimedOut)
	defer cancel()
	start := "warm"
	if cold {
		start = "cold"
	}
	rec.Header().Set(startHeader, start)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", i.address
			p.Out.Host = r.Host
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"} {
				p.Out.Header[name] = r.Header[name]
			}
			p.Out.Header.Set("X-Hks-Version", fmt.Sprint(route.Version))
		},
		Transport:     f.owner.pods,
		FlushInterval: -1,
		ModifyResponse: func(answer *http.Response) error {
			answer.Header.Del(startHeader)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			failed = err
			if context.Cause(ctx) == errTimedOut {
				failed = errTimedOut
			}
		},
	}
	defer func() {
		// The proxy ends an answer that broke off by a panic; the connection must end too.
		if p := recover(); p != nil {
			if context.Cause(ctx) == errTimedOut {
				f.broken(i)
			}
			f.done(i)
			panic(p)
		}
	}()
	proxy.ServeHTTP(rec, r.WithContext(ctx))
	return failed
}
