package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Config is what the manager needs.
type Config struct {
	Store     *store.Store
	Cluster   Cluster
	Workspace Workspace
	Images    Images
	Route     RouteChecker
	Sampler   Sampler // nil: no figures
	Nodes     Nodes   // nil: there is the shared pool only
	Volumes   Volumes // nil: the machine's disk has no end

	Publish      func(kind, subject string, object any)
	Activity     func(ctx context.Context, activity agent.Activity)
	HostsChanged func() // the set of Hosts may have changed; must not block

	Domain   string   // of default hosts
	Reserved []string // hosts of the appliance itself, which no app may have
	Scheme   string   // of URLs shown; default https
	Port     int      // of URLs shown, when not the scheme's own

	Deadline     time.Duration // how long a release may make no progress; default 120 s
	PullDeadline time.Duration // how long it may pull an image; default 15 min
	Grace        time.Duration // how long the volumes of a deleted app stay; default 7 days

	Now func() time.Time // default time.Now
	Log *slog.Logger
}

// Manager runs the applications.
type Manager struct {
	cfg       Config
	signals   signals
	timelines timelines
	notes     notes

	mu      sync.Mutex // guards the rest
	ctx     context.Context
	cancel  context.CancelFunc
	workers map[key]*worker
	watched *watch
	running sync.WaitGroup
}

// New checks the settings; Start begins the work.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Cluster == nil || cfg.Workspace == nil || cfg.Images == nil || cfg.Route == nil {
		return nil, errors.New("app: Store, Cluster, Workspace, Images and Route are needed")
	}
	if err := agent.ValidateHost(cfg.Domain); err != nil {
		return nil, fmt.Errorf("the domain of apps: %w", err)
	}
	if cfg.Scheme == "" {
		cfg.Scheme = "https"
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = 120 * time.Second
	}
	if cfg.PullDeadline <= 0 {
		cfg.PullDeadline = 15 * time.Minute
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 7 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Activity == nil {
		cfg.Activity = func(context.Context, agent.Activity) {}
	}
	if cfg.HostsChanged == nil {
		cfg.HostsChanged = func() {}
	}
	return &Manager{cfg: cfg, workers: map[key]*worker{}}, nil
}

// Start takes up every app where it stands. It does not wait for the cluster.
// The work goes on until Stop, whatever becomes of ctx.
func (m *Manager) Start(ctx context.Context) error {
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if m.ctx == nil {
		m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	m.mu.Unlock()
	// The watch takes a moment to see all; the first deploy needn't wait for it.
	if ws, err := m.workspace(ctx); err == nil {
		if _, err := m.watchOf(ws.Name); err != nil {
			return err
		}
	}
	for _, s := range states {
		m.work(key{s.Name, s.Environment})
	}
	m.cfg.HostsChanged()
	return nil
}

// Stop ends the workers and the watch; rollouts go on in the cluster and are
// taken up again at the next start.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	cancel := m.cancel
	m.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.running.Wait()
		m.mu.Lock()
		w := m.watched
		m.watched = nil
		m.mu.Unlock()
		if w != nil {
			w.close()
		}
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the apps' workers: %w", ctx.Err())
	}
}

// work wakes the worker of an app, which is made where there is none. Before
// Start it does nothing: Start finds what was accepted.
func (m *Manager) work(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return
	}
	if m.workers[k] == nil {
		w := newWorker(m, k)
		m.workers[k] = w
		m.running.Go(func() { w.run(m.ctx) })
		return
	}
	m.workers[k].interrupt()
	m.signals.raise(k)
}

// workerOf returns the worker of an app, nil where there is none.
func (m *Manager) workerOf(k key) *worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers[k]
}

// watchOf returns the watch of the workspace's namespace and begins it at the
// first time. A namespace changes only while no app is there.
func (m *Manager) watchOf(namespace string) (*watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return nil, context.Canceled
	}
	if m.watched != nil && m.watched.namespace == namespace {
		return m.watched, nil
	}
	if old := m.watched; old != nil {
		m.watched = nil
		m.running.Go(old.close)
	}
	w, err := startWatch(m.ctx, m.cfg.Cluster.Interface(), namespace, m.signals.raise)
	if err != nil {
		return nil, err
	}
	m.watched = w
	ctx := m.ctx
	m.running.Go(func() { // tells the workers when all was seen
		if w.waitReady(ctx) {
			m.signals.raiseAll()
		}
	})
	return w, nil
}

// current returns the watch that is running, nil when there is none.
func (m *Manager) current() *watch {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watched
}

// forget removes an app's rows and its worker in one step, so that a new app
// of the same name gets a worker of its own.
func (m *Manager) forget(ctx context.Context, k key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.cfg.Store.ForgetApp(ctx, k.app, k.env); err != nil {
		return err
	}
	delete(m.workers, k)
	m.timelines.forget(k)
	m.notes.clear(k)
	return nil
}

// retire ends the worker of an app that has no rows, unless rows came
// meanwhile.
func (m *Manager) retire(ctx context.Context, k key) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there, err := m.cfg.Store.App(ctx, k.app, k.env)
	if err != nil || there {
		return false, err
	}
	delete(m.workers, k)
	return true, nil
}

// workspace returns the workspace when apps can live in it.
func (m *Manager) workspace(ctx context.Context) (agent.Workspace, error) {
	ws, err := m.cfg.Workspace.Current(ctx)
	if err != nil {
		return agent.Workspace{}, err
	}
	if ws.Name == "" || ws.Status != agent.WorkspaceReady {
		why := string(ws.Status)
		if ws.Name == "" {
			why = "not there yet"
		}
		return agent.Workspace{}, &agent.Error{
			Code:    agent.CodeWorkspaceMissing,
			Message: "the workspace is " + why,
			Fix:     "wait until it is ready: hks workspace show",
			Details: map[string]any{"status": ws.Status},
		}
	}
	return ws, nil
}

// note is what a worker is at that no object of the cluster shows.
type note struct{ reason, fix string }

type notes struct {
	mu  sync.Mutex // guards all
	all map[key]note
}

func (n *notes) of(k key) note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[k]
}

func (n *notes) set(k key, now note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[key]note{}
	}
	n.all[k] = now
}

func (n *notes) clear(k key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.all, k)
}
