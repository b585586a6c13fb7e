package gateway

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"hks.dev/hks/agent"
)

// Config is what a Gateway needs.
type Config struct {
	HTTP       string  // address:port for plain HTTP
	HTTPS      string  // address:port for TLS
	State      string  // folder of its own: certificates, last routes
	Socket     string  // unix socket of status and metrics
	Claims     string  // unix socket on which the agent gives functions an instance; "" for none
	Kubeconfig string  // its read-only credential; waited for while absent
	AccessLog  string  // file, rotated by size; "" for none
	Settings   string  // path of the settings file, for messages
	Sockets    Sockets // that are held for it; nil for none

	Succeeds bool // another gateway runs here: the ports are shared with it until it ends, and its socket is taken over

	ACME ACME // how certificates of custom domains are asked for

	Dial  time.Duration // how long one try to connect may take; default 1 s, pods are near
	Hold  time.Duration // how long a request waits for an endpoint, retries included; default 5 s
	Drain time.Duration // how long Stop lets requests end; default 20 s

	LogLevel  string // of Caddy: debug, info, warn, error; default info
	LogFormat string // of Caddy: text or json; default text
	Logger    *slog.Logger
}

// Sockets are listening sockets that someone else holds for the gateway, so
// that they stay open while it is restarted.
type Sockets interface {
	File(network, address string) (*os.File, bool)
}

// ACME says which certificate authority is asked (RFC 8555). Asking means to
// agree to its terms.
type ACME struct {
	Directory string          // URL; empty: none is asked
	Email     string          // of the account; may be empty
	CA        string          // file with a PEM bundle that the directory's certificate is checked against; empty: the system's
	Resolver  string          // ADDRESS:PORT of a name server; empty: the system's
	Retries   []time.Duration // the waits after failed tries; default retryAfter
}

// Gateway routes requests to ready pods. A process runs one at a time.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	id      string // by which Caddy's modules find it
	routes  *holder
	metrics *metrics
	api     *apiState
	files   files
	admin   *admin
	calls   *functions
	domains *certifier
	acme    *acmeIssuer // nil: no authority is asked

	root      atomic.Pointer[[]byte] // PEM of the local authority's root
	listening atomic.Bool
	requests  atomic.Int64  // begun since the start
	dirty     chan struct{} // the table is to be written

	mu     sync.Mutex // guards the fields below
	cancel context.CancelFunc
	work   sync.WaitGroup // watching and saving
}

// New checks the settings; Start opens the ports.
func New(cfg Config) (*Gateway, error) {
	for name, value := range map[string]string{
		"HTTP": cfg.HTTP, "HTTPS": cfg.HTTPS, "State": cfg.State, "Socket": cfg.Socket, "Kubeconfig": cfg.Kubeconfig,
	} {
		if value == "" {
			return nil, fmt.Errorf("gateway: Config.%s is missing", name)
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial <= 0 {
		cfg.Dial = time.Second
	}
	if cfg.Hold <= 0 {
		cfg.Hold = 5 * time.Second
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 20 * time.Second
	}
	if cfg.LogLevel == "" {
		cfg.LogLevel = "info"
	}
	g := &Gateway{
		cfg: cfg, log: cfg.Logger, id: rand.Text(), routes: newHolder(), metrics: newMetrics(),
		api: newAPIState(cfg.Logger), files: files{dir: cfg.State}, dirty: make(chan struct{}, 1),
	}
	g.domains = newCertifier(cfg.State, cfg.Logger)
	if len(cfg.ACME.Retries) > 0 {
		g.domains.retries = cfg.ACME.Retries
	}
	g.metrics.observe(g)
	g.calls = newFunctions(g)
	g.admin = newAdmin(g)
	return g, nil
}

// Start loads the last routes, opens the ports and begins to watch the
// cluster. It returns when requests are served; ctx bounds the start only.
// An error that the machine's owner can mend is an *agent.Error that wraps
// ErrPreflight.
func (g *Gateway) Start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancel != nil {
		return errors.New("the gateway is started already")
	}
	if err := g.preflight(ctx); err != nil {
		return err
	}
	if err := registry.add(g); err != nil {
		return err
	}
	if err := g.open(ctx); err != nil {
		registry.remove(g)
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	watcher := &watcher{path: g.cfg.Kubeconfig, log: g.log, api: g.api, changed: g.apply}
	g.work.Go(func() { watcher.run(running) })
	g.work.Go(func() { g.save(running) })
	g.work.Go(func() { g.trim(running) })
	g.work.Go(func() { g.certify(running) })
	g.notify("READY=1\nSTATUS=Routing on " + g.cfg.HTTP + " and " + g.cfg.HTTPS)
	g.log.Info("gateway is listening", "http", g.cfg.HTTP, "https", g.cfg.HTTPS, "socket", g.cfg.Socket, "routes", len(g.routes.load().table.Routes))
	return nil
}

// open loads the last table and opens socket and ports.
func (g *Gateway) open(ctx context.Context) error {
	table, savedAt, err := g.files.load()
	switch {
	case err != nil:
		g.log.Warn("the last routes could not be read; routing begins when the cluster answers", "error", err)
	case table != nil:
		g.replace(*table, SourceDisk, savedAt)
		g.log.Info("routing by the last known routes until the cluster answers", "routes", len(table.Routes), "saved", savedAt)
	}
	if err := g.calls.load(); err != nil {
		g.log.Warn("the last functions could not be read; they are called again when the agent tells them", "error", err)
	}
	if err := g.domains.load(); err != nil {
		g.log.Warn("the custom domains could not be read; the agent will tell them again", "error", err)
	}
	if g.cfg.ACME.Directory != "" {
		if g.acme, err = newACMEIssuer(g.cfg, g.acmeLog()); err != nil {
			return mendable(agent.CodeInvalid, err, "correct gateway.acme in the settings", "certificates can't be asked for: %v", err)
		}
		g.domains.issuer = g.acme
	}
	if err := g.admin.start(ctx); err != nil {
		return err
	}
	if err := g.runCaddy(); err != nil {
		return errors.Join(g.explain(err), g.admin.stop(ctx))
	}
	g.listening.Store(true)
	return nil
}

// Stop closes the ports, lets the requests under way end, for Config.Drain at
// most or until ctx ends, and writes the table out. Stopping twice is fine.
func (g *Gateway) Stop(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancel == nil {
		return nil
	}
	g.notify("STOPPING=1")
	g.listening.Store(false)
	stopped := make(chan error, 1)
	go func() { stopped <- caddy.Stop() }()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for requests to end: %w", ctx.Err())
	}
	g.cancel()
	g.cancel = nil
	g.work.Wait()
	registry.remove(g)
	return errors.Join(err, g.admin.stop(ctx))
}

// notify tells systemd, where it is there.
func (g *Gateway) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		g.log.Warn("telling systemd", "state", state, "error", err)
	}
}

// apply makes the table of what the cluster holds now and puts it in use.
func (g *Gateway) apply(objects Objects) {
	table := Build(objects)
	now := g.routes.load()
	if now.source == SourceCluster && reflect.DeepEqual(now.table, table) {
		return
	}
	for _, problem := range table.Problems {
		if now.source == SourceNone || !slices.Contains(now.table.Problems, problem) {
			g.log.Warn("a route is not as asked", "problem", problem)
		}
	}
	g.replace(table, SourceCluster, time.Now())
	select {
	case g.dirty <- struct{}{}:
	default: // it will be written already
	}
}

// replace puts a table in use.
func (g *Gateway) replace(table Table, source Source, builtAt time.Time) {
	g.routes.swap(func(before *router) *router {
		next, problems := newRouter(table, source, builtAt, before, g.metrics.of)
		for _, err := range problems {
			g.log.Warn("a certificate is not usable; the gateway's own serves", "error", err)
		}
		return next
	})
	g.metrics.forget(table)
}

// save writes the table when it changed, not more than once a saveEvery, and
// a last time at the end.
func (g *Gateway) save(ctx context.Context) {
	const saveEvery = time.Second
	for {
		select {
		case <-ctx.Done():
			g.saveNow()
			return
		case <-g.dirty:
			g.saveNow()
		}
		select {
		case <-ctx.Done():
		case <-time.After(saveEvery):
		}
	}
}

func (g *Gateway) saveNow() {
	now := g.routes.load()
	if now.source != SourceCluster {
		return
	}
	if err := g.files.save(now.table, now.builtAt); err != nil {
		g.log.Error("the routes could not be written; a restart without the cluster would serve older ones", "error", err)
	}
}

// trim gives memory back once there were no requests for a while: the
// collector is tuned for throughput (see cmd/hks-gateway) and would keep what
// the last busy time needed.
func (g *Gateway) trim(ctx context.Context) {
	const quiet = 15 * time.Second
	for seen, trimmed := int64(0), int64(-1); pause(ctx, quiet); {
		now := g.requests.Load()
		if now == seen && now != trimmed {
			debug.FreeOSMemory()
			trimmed = now
		}
		seen = now
	}
}

// certify asks for certificates until ctx ends.
func (g *Gateway) certify(ctx context.Context) {
	g.domains.run(ctx)
	if g.acme != nil {
		g.acme.stop()
	}
}

// acmeLog passes on certmagic's errors; the rest is in certifier's own words.
func (g *Gateway) acmeLog() *zap.Logger {
	return caddy.Log().Named("acme").WithOptions(zap.IncreaseLevel(zap.ErrorLevel))
}

func (g *Gateway) setRoot(root *x509.Certificate) {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	g.root.Store(&text)
}

func certificateError(hosts []string, err error) error {
	return fmt.Errorf("TLS Secret for %s: %w", strings.Join(hosts, ", "), err)
}
