package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin answers on the unix socket: status, metrics, routes, the local
// authority's root. Caddy's own admin endpoint is off.
type admin struct {
	gateway *Gateway
	server  *http.Server
	done    chan struct{} // closed when the server ended; nil before start
}

func newAdmin(g *Gateway) *admin {
	a := &admin{gateway: g}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /routes", a.routes)
	mux.HandleFunc("GET /ca.crt", a.root)
	g.calls.handle(mux)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: time.Minute}
	return a
}

func (a *admin) start(ctx context.Context) error {
	socket := a.gateway.cfg.Socket
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return fmt.Errorf("making the socket's folder: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("opening the socket: %w", err)
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		return errors.Join(fmt.Errorf("protecting the socket: %w", err), listener.Close())
	}
	a.done = make(chan struct{})
	go func() {
		defer close(a.done)
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.gateway.log.Error("the status socket ended", "error", err)
		}
	}()
	return nil
}

// stop closes the socket, which also removes it.
func (a *admin) stop(ctx context.Context) error {
	if a.done == nil {
		return nil
	}
	err := a.server.Close()
	select {
	case <-a.done:
	case <-ctx.Done():
	}
	return err
}

// Health is the answer of GET /healthz.
type Health struct {
	OK        bool      `json:"ok"` // it listens and has a table
	Listening bool      `json:"listening"`
	Source    Source    `json:"source"` // where the table in use came from
	Routes    int       `json:"routes"`
	BuiltAt   time.Time `json:"builtAt"` // when that table was built
	API       APIStatus `json:"api"`
}

func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	now := a.gateway.routes.load()
	h := Health{
		Listening: a.gateway.listening.Load(), Source: now.source, Routes: len(now.table.Routes),
		BuiltAt: now.builtAt, API: a.gateway.api.status(),
	}
	h.OK = h.Listening && h.Source != SourceNone
	status := http.StatusOK
	if !h.OK {
		status = http.StatusServiceUnavailable
	}
	a.json(w, status, h)
}

func (a *admin) routes(w http.ResponseWriter, _ *http.Request) {
	a.json(w, http.StatusOK, a.gateway.routes.load().table)
}

func (a *admin) root(w http.ResponseWriter, _ *http.Request) {
	root := a.gateway.root.Load()
	if root == nil {
		http.Error(w, "the gateway is still starting", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	a.sent(w.Write(*root))
}

func (a *admin) json(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	a.sent(0, json.NewEncoder(w).Encode(value))
}

// sent notes an answer that could not be sent; whoever asked is gone.
func (a *admin) sent(_ int, err error) {
	if err != nil {
		a.gateway.log.Debug("answering on the status socket", "error", err)
	}
}
