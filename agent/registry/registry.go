package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"

	"hks.dev/hks/agent"
)

// Config says where the registry is and what it may take.
type Config struct {
	Dir       string   // images, certificate and password
	Listen    string   // address:port
	Advertise string   // host or address under which nodes reach it; default 127.0.0.1
	Hosts     []string // further names and addresses for the certificate

	MaxArchive int64 // bytes of one archive, unpacked; default 4 GiB
	MinFree    int64 // bytes that stay free on the disk; default 1 GiB
	// FreeSpace tells what is free below a folder; default asks the kernel.
	FreeSpace func(dir string) (int64, error)

	// What a clean-up must keep, and when it may work.
	Budget   int64                                           // bytes of all images; default 20 GiB
	Grace    time.Duration                                   // an image stored since then stays; default 24 h
	Uses     func(context.Context) ([]agent.ImageUse, error) // images that kept releases need; without it nothing is removed
	Building func() bool                                     // tells whether an image is being built; default never
	Record   func(context.Context, agent.Activity)           // what was removed, for people; default nowhere

	RemoteTimeout time.Duration     // for asking other registries; default 8 s
	Remote        http.RoundTripper // to other registries; default that of go-containerregistry

	Sockets Sockets // that are held for it; nil for none
	Log     *slog.Logger
	Now     func() time.Time
}

// Sockets are listening sockets that someone else holds for the registry, so
// that they stay open while it is restarted.
type Sockets interface {
	Listener(network, address string) (net.Listener, bool, error)
}

// Registry is the running registry. It is safe for concurrent use.
type Registry struct {
	cfg     Config
	loading chan struct{} // holds one token: one archive at a time
	gate    *gate
	driver  storagedriver.StorageDriver // the images' folder

	mu      sync.Mutex // guards what follows
	keeper  *keeper
	images  distribution.Namespace
	app     *handlers.App
	server  *http.Server
	address string
	secrets credentials
	served  chan struct{}
}

// New checks the settings.
func New(cfg Config) (*Registry, error) {
	if cfg.Dir == "" || cfg.Listen == "" {
		return nil, errors.New("the registry needs a folder and an address")
	}
	if cfg.FreeSpace == nil {
		cfg.FreeSpace = freeSpace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Advertise = cmp.Or(cfg.Advertise, "127.0.0.1")
	cfg.MaxArchive = cmp.Or(cfg.MaxArchive, 4<<30)
	cfg.MinFree = cmp.Or(cfg.MinFree, 1<<30)
	cfg.RemoteTimeout = cmp.Or(cfg.RemoteTimeout, 8*time.Second)
	cfg.Budget = cmp.Or(cfg.Budget, 20<<30)
	cfg.Grace = cmp.Or(cfg.Grace, 24*time.Hour)
	if cfg.Building == nil {
		cfg.Building = func() bool { return false }
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	return &Registry{
		cfg: cfg, loading: make(chan struct{}, 1), gate: newGate(cfg.Now),
		driver: filesystem.New(filesystem.DriverParameters{RootDirectory: filepath.Join(cfg.Dir, "data"), MaxThreads: 100}),
	}, nil
}

// Start makes what the first start needs, takes away what an interrupted
// upload left, and serves.
func (r *Registry) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return nil
	}
	// An unfinished archive is of no use to anyone.
	if err := os.RemoveAll(r.incoming()); err != nil {
		return fmt.Errorf("clearing unfinished uploads: %w", err)
	}
	for _, dir := range []string{r.cfg.Dir, r.incoming(), r.data()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the registry's folder: %w", err)
		}
	}
	secrets, err := loadCredentials(filepath.Join(r.cfg.Dir, "credentials.json"))
	if err != nil {
		return err
	}
	certificate, err := r.certificate()
	if err != nil {
		return err
	}
	if err := r.openStorage(); err != nil {
		return err
	}
	listener, err := r.listen(ctx)
	if err != nil {
		return err
	}
	r.secrets, r.address = secrets, listener.Addr().String()
	r.server = &http.Server{
		Handler:           secrets.guard(r.guardWrites(r.app)),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(r.cfg.Log.Handler(), slog.LevelDebug),
	}
	r.served = make(chan struct{})
	go func(server *http.Server, served chan struct{}) {
		defer close(served)
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			r.cfg.Log.Error("the registry ended", "error", err)
		}
	}(r.server, r.served)
	r.keeper = r.startKeeper()
	return nil
}

// listen takes the socket that is held for the registry, or opens one.
func (r *Registry) listen(ctx context.Context) (net.Listener, error) {
	if r.cfg.Sockets != nil {
		if listener, ok, err := r.cfg.Sockets.Listener("tcp", r.cfg.Listen); ok || err != nil {
			return listener, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.cfg.Listen)
	if err != nil {
		return nil, listenError(r.cfg.Listen, err)
	}
	return listener, nil
}

// openStorage opens the images' folder, for the network and for ourselves.
func (r *Registry) openStorage() (err error) {
	quiet(r.cfg.Log)
	background := context.Background()
	if err := r.purgeUploads(background, r.driver); err != nil {
		return err
	}
	r.images, err = storage.NewRegistry(background, r.driver, storage.EnableDelete)
	if err != nil {
		return fmt.Errorf("opening the images' folder: %w", err)
	}
	settings := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem": {"rootdirectory": r.data()},
		"delete":     {"enabled": true},
		"redirect":   {"disable": true},
		// Done above, at each start, without a goroutine of its own.
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	settings.HTTP.RelativeURLs = true
	settings.HTTP.Secret = rand32() // of half-done uploads, which a restart ends
	// It reports a wrong setting by panicking; these are ours and right.
	r.app = handlers.NewApp(background, settings)
	return nil
}

// purgeUploads removes what interrupted pushes left; nothing else is pushing
// yet.
func (r *Registry) purgeUploads(ctx context.Context, driver storagedriver.StorageDriver) error {
	kept, err := os.ReadDir(r.data())
	if err != nil {
		return fmt.Errorf("looking for images: %w", err)
	}
	if len(kept) == 0 {
		return nil // a new registry, in which the search would fail
	}
	uploads, failures := storage.PurgeUploads(ctx, driver, r.cfg.Now(), true)
	if len(uploads) > 0 {
		r.cfg.Log.InfoContext(ctx, "removed interrupted uploads", "count", len(uploads))
	}
	if len(failures) > 0 { // they only take room
		r.cfg.Log.WarnContext(ctx, "interrupted uploads can't be removed", "error", errors.Join(failures...))
	}
	return nil
}

// Stop lets requests end, as long as ctx allows. Stopping twice is fine.
func (r *Registry) Stop(ctx context.Context) error {
	r.mu.Lock()
	keeper := r.keeper
	r.mu.Unlock() // the keeper asks for the images
	if keeper == nil {
		return nil
	}
	kept := keeper.stop(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		return kept
	}
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("waiting for the registry's requests: %w", err), r.server.Close())
	}
	<-r.served
	err = errors.Join(kept, err, r.app.Shutdown())
	r.server = nil
	return err
}

// Mirror is how nodes reach the registry; k3s's registries.yaml says it to
// them.
type Mirror struct {
	Host               string // in image names
	Endpoint           string // URL
	CAFile             string
	Username, Password string
}

// Mirror returns how nodes reach the registry; it must have been started.
func (r *Registry) Mirror() Mirror {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, port, _ := net.SplitHostPort(r.address) // empty before the start
	return Mirror{
		Host:     agent.RegistryHost,
		Endpoint: "https://" + net.JoinHostPort(r.cfg.Advertise, port),
		CAFile:   r.caFile(),
		Username: r.secrets.Username, Password: r.secrets.Password,
	}
}

var errNotStarted = errors.New("the image registry has not been started")

// namespace returns the images; an error before the start.
func (r *Registry) namespace() (distribution.Namespace, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.images == nil {
		return nil, errNotStarted
	}
	return r.images, nil
}

func (r *Registry) data() string     { return filepath.Join(r.cfg.Dir, "data") }
func (r *Registry) incoming() string { return filepath.Join(r.cfg.Dir, "incoming") }

func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return agent.Errorf(agent.CodeConflict, "stop the program that listens there, or set registry.listen in config.yaml",
			"the image registry can't listen on %s: the port is in use (%w)", address, err)
	}
	return fmt.Errorf("listening for the image registry on %s: %w", address, err)
}

func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("asking for free space: %w", err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil //nolint:gosec // below 2^63
}
