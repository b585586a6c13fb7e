package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
)

// Config is what the API needs. Everything but Now and Ready is required.
type Config struct {
	Settings config.Config // where it listens, its names, its files
	Version  string
	Sockets  Sockets // that are held for it; nil for none

	Identities  Identities
	Journal     *Journal
	Hub         *Hub
	Workspaces  Workspaces
	Apps        Apps
	Shells      Shells
	Series      Series
	Images      Images
	Builds      Builds
	Market      Market    // nil: the appliance has no marketplace
	Functions   Functions // nil: this appliance has no functions
	Nodes       Nodes     // nil: this appliance has no further nodes, nor have Joins and JoinFiles anything to do
	Plans       Plans     // nil: there is one plan only
	Joins       Joins
	CronJobs    CronJobs // nil: there are none, nor has CronRuns anything to do
	CronRuns    CronRuns
	Volumes     Volumes // nil: there are none
	JoinFiles   JoinFiles
	Incidents   Incidents // nil: nobody watches, nor have Silences, Insight and Channels anything to do
	Silences    Silences
	Insight     Insight
	Channels    Channels
	Pipelines   Pipelines   // nil: there are none
	Domains     Domains     // nil: there are none
	Maintenance Maintenance // nil: there are no such pages
	Appliance   Appliance   // nil: nothing keeps the appliance itself
	Updates     Updates     // nil: nobody looks for newer versions
	Audit       Audit       // nil: changes are not written down
	System      Systemer
	RootCA      RootCA
	UI          http.Handler // the screens, with a fallback of their own

	Metrics *prometheus.Registry
	Log     *slog.Logger
	Now     func() time.Time
	Ready   func() bool // whether the appliance has started; nil: as soon as it listens
}

// Server is the API on its two listeners.
type Server struct {
	cfg     Config
	auth    *auth
	names   *names
	metrics *metrics
	engine  *gin.Engine

	hooks   chan struct{} // one element for each webhook that is read
	uploads chan struct{} // one element for each running upload
	streams chan struct{} // one element for each open event stream

	shells   chan struct{} // one element for each command that runs
	forwards chan struct{} // one element for each forwarded connection
	told     *told         // of the activity list

	streamTimeout time.Duration // for one batch of an event stream
	sessionBeat   time.Duration // how often the credential of a session is looked at again
	sessionQuiet  time.Duration // how long a session may be quiet

	life    context.Context // ends when the server stops: event streams and background work end with it
	endLife context.CancelFunc
	work    sync.WaitGroup // background work
	loops   sync.WaitGroup // that let connections in
	failed  chan error     // a listener that ended by itself
	making  sync.Mutex     // held while the first workspace is being asked for

	mu          sync.Mutex // guards what follows
	started     bool
	stopped     bool
	fingerprint string
	pin         string // base64 of the SHA-256 of the certificate's public key
	address     net.Addr
	remote      *http.Server
	local       *http.Server
	listeners   []net.Listener
	newcomers   *newcomers
}

// New checks the settings and builds the routes; Start listens.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	life, endLife := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, auth: newAuth(cfg.Identities, cfg.Journal.warnOwner, cfg.Log, cfg.Now), metrics: metrics,
		names:   newNames(cfg.Settings, cfg.Now),
		hooks:   make(chan struct{}, maxHooks),
		uploads: make(chan struct{}, maxUploads),
		streams: make(chan struct{}, maxStreams), streamTimeout: writeTimeout,
		shells: make(chan struct{}, maxShells), forwards: make(chan struct{}, maxForwards), told: newTold(cfg.Now),
		sessionBeat: heartbeat, sessionQuiet: sessionQuiet,
		life: life, endLife: endLife,
		failed: make(chan error, 2),
	}
	s.engine = s.newEngine()
	return s, nil
}

func (c *Config) complete() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Ready == nil {
		c.Ready = func() bool { return true }
	}
	for name, missing := range map[string]bool{
		"Identities": c.Identities == nil, "Journal": c.Journal == nil, "Hub": c.Hub == nil, "Workspaces": c.Workspaces == nil,
		"Apps": c.Apps == nil, "Shells": c.Shells == nil, "Series": c.Series == nil, "Images": c.Images == nil, "Builds": c.Builds == nil, "System": c.System == nil,
		"RootCA": c.RootCA == nil, "UI": c.UI == nil, "Metrics": c.Metrics == nil, "Log": c.Log == nil,
	} {
		if missing {
			return fmt.Errorf("the API was given no %s", name)
		}
	}
	return nil
}

// Start makes the certificate when there is none and listens. When it returns
// nil, both listeners answer.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("the API was started before")
	}
	certificate, fingerprint, err := loadCertificate(s.cfg.Settings.Paths().State("api"), s.names.certificate(), s.cfg.Now)
	if err != nil {
		return err
	}
	socket, err := s.listenLocal(ctx)
	if err != nil {
		return err
	}
	listener, err := s.listen(ctx)
	if err != nil {
		_ = socket.Close() // the listener's error is the one to tell
		return err
	}
	s.started, s.fingerprint, s.pin, s.address = true, fingerprint, keyPin(certificate), listener.Addr()
	s.remote = s.newHTTPServer(s.engine)
	s.remote.TLSConfig = tlsConfig(certificate)
	s.local = s.newHTTPServer(markLocal(s.engine))
	s.newcomers, s.listeners = newNewcomers(), []net.Listener{listener, socket}
	s.newcomers.watch(s.remote)
	s.newcomers.watch(s.local)
	s.serve("the API", func() error { return s.remote.ServeTLS(countingListener{listener, s.newcomers}, "", "") })
	s.serve("the API's socket", func() error { return s.local.Serve(countingListener{socket, s.newcomers}) })
	s.resumeFirstLogin(ctx)
	s.cfg.Log.InfoContext(ctx, "the API listens", "address", listener.Addr().String(), "socket", socket.path, "fingerprint", fingerprint)
	return nil
}

func (s *Server) newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug), // TLS handshakes of strangers, mostly
	}
}

func (s *Server) serve(what string, loop func() error) {
	s.loops.Go(func() {
		if err := loop(); !errors.Is(err, http.ErrServerClosed) && !s.stopping() {
			s.failed <- fmt.Errorf("%s ended: %w", what, err)
		}
	})
}

// Failed yields the error of a listener that ended by itself. It stays silent
// at Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends the event streams, lets running requests finish until ctx is
// done, and closes the listeners. Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	idle := !s.started || s.stopped
	s.stopped = true
	s.mu.Unlock()
	s.endLife()
	if idle {
		return nil
	}
	var err error
	for _, listener := range s.listeners {
		if closed := listener.Close(); !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	s.loops.Wait() // everyone that was let in is known now
	s.newcomers.wait(ctx)
	err = errors.Join(err, shutdown(ctx, s.remote), shutdown(ctx, s.local))
	s.work.Wait()
	if err != nil {
		return fmt.Errorf("stopping the API: %w", err)
	}
	return nil
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// shutdown stops gracefully, and at once when ctx is done first.
func shutdown(ctx context.Context, server *http.Server) error {
	err := server.Shutdown(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// Fingerprint is SHA256:hex of the API's certificate, known after Start.
func (s *Server) Fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fingerprint
}

// pinned is what curl's --pinnedpubkey takes, known after Start.
func (s *Server) pinned() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pin
}

// Addr is where the API listens, known after Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// URL is the address to open in a browser; its port is known after Start.
func (s *Server) URL() string {
	at := s.Addr()
	if at == nil {
		return "https://" + s.names.primary()
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "https://" + s.names.primary()
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.IsUnspecified() || ip.IsLoopback() {
		host = s.names.primary() // else it listens on that one address only
	}
	return "https://" + net.JoinHostPort(host, port)
}

func (s *Server) info(ctx context.Context) (agent.Info, error) {
	hash, err := s.cfg.Identities.PasswordHash(ctx)
	if err != nil {
		return agent.Info{}, err
	}
	return agent.Info{
		Product: "hks", Version: s.cfg.Version, SetUp: hash != "",
		Fingerprint: s.Fingerprint(), Domain: s.cfg.Settings.Domain,
	}, nil
}
