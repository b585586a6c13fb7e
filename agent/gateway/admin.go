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

	"hks.dev/hks/agent"
)

// admin answers on the unix socket: status, metrics, routes, the local
// authority's root. Caddy's own admin endpoint is off.
type admin struct {
	gateway *Gateway
	server  *http.Server
	file    os.FileInfo   // the socket
	done    chan struct{} // closed when the server ended; nil before start
}

func newAdmin(g *Gateway) *admin {
	a := &admin{gateway: g}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /routes", a.routes)
	mux.HandleFunc("GET /ca.crt", a.root)
	g.calls.handle(mux)
	mux.HandleFunc("GET /domains", a.domains)
	mux.HandleFunc("PUT /domains", a.putDomains)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: time.Minute}
	return a
}

func (a *admin) start(ctx context.Context) error {
	socket := a.gateway.cfg.Socket
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return fmt.Errorf("making the socket's folder: %w", err)
	}
	listener, err := a.listen(ctx, socket)
	if err != nil {
		return err
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

// listen takes the socket that is held for the gateway, or opens one. That gets
// its name by a rename: a successor takes the place of the one before in a
// single moment.
func (a *admin) listen(ctx context.Context, path string) (net.Listener, error) {
	if file, held := a.gateway.inherited("unix", path); held {
		listener, err := net.FileListener(file)
		if err != nil {
			return nil, fmt.Errorf("taking over the socket: %w", err)
		}
		return listener, nil
	}
	temp := path + ".new"
	if err := os.RemoveAll(temp); err != nil {
		return nil, fmt.Errorf("clearing the socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", temp)
	if err != nil {
		return nil, fmt.Errorf("opening the socket: %w", err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // the name may be a successor's by then
	if err := errors.Join(os.Chmod(temp, 0o660), os.Rename(temp, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the socket: %w", err), listener.Close(), os.RemoveAll(temp))
	}
	if a.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("looking at the socket: %w", err), listener.Close())
	}
	return listener, nil
}

// stop closes the socket, and removes it unless it is a successor's or held
// by another.
func (a *admin) stop(ctx context.Context) error {
	if a.done == nil {
		return nil
	}
	err := a.server.Close()
	if now, failed := os.Stat(a.gateway.cfg.Socket); failed == nil && os.SameFile(a.file, now) {
		err = errors.Join(err, os.Remove(a.gateway.cfg.Socket))
	}
	select {
	case <-a.done:
	case <-ctx.Done():
	}
	return err
}

// Health is the answer of GET /healthz.
type Health struct {
	OK        bool      `json:"ok"` // it listens and has a table
	ID        string    `json:"id"` // of this process, which it also answers at agent.GatewayProbe
	PID       int       `json:"pid"`
	Listening bool      `json:"listening"`
	Source    Source    `json:"source"` // where the table in use came from
	Routes    int       `json:"routes"`
	BuiltAt   time.Time `json:"builtAt"` // when that table was built
	API       APIStatus `json:"api"`
}

func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	now := a.gateway.routes.load()
	h := Health{
		ID: a.gateway.id, PID: os.Getpid(), Listening: a.gateway.listening.Load(), Source: now.source, Routes: len(now.table.Routes),
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

func (a *admin) domains(w http.ResponseWriter, _ *http.Request) {
	a.json(w, http.StatusOK, a.gateway.domains.states())
}

// maxDomains bounds the list of domains: some thousands with certificates.
const maxDomains = 32 << 20

// putDomains takes the list of custom domains; the answer means that it is on
// disk and in use.
func (a *admin) putDomains(w http.ResponseWriter, r *http.Request) {
	var domains []agent.GatewayDomain
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDomains))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&domains); err != nil {
		http.Error(w, "the list of domains can't be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	switch err := a.gateway.domains.put(domains); {
	case agent.CodeOf(err) == agent.CodeInvalid:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		a.gateway.log.Error("keeping the domains", "error", err)
		http.Error(w, "the domains could not be kept: "+err.Error(), http.StatusInternalServerError)
	default:
		a.json(w, http.StatusOK, a.gateway.domains.states())
	}
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
