package aiops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/agent/store"
)

const (
	passEach   = 15 * time.Second // also without a change: time itself decides some things
	passPause  = time.Second      // changes in quick succession are one
	historyFor = 12 * time.Hour   // the longest window of the leak detector
)

// Manager finds what is wrong and keeps the incidents. It is safe for
// concurrent use.
type Manager struct {
	cfg    Config
	wake   chan struct{}
	crew   agent.Crew
	began  time.Time
	scaled func(time.Duration) time.Duration

	counter requestCounter   // of the goroutine that counts requests
	watcher *watcher         // of the loop's goroutine; subjects reads it under mu
	kills   map[string]kills // of the loop's goroutine, by the pods' uid

	mu        sync.Mutex // guards what follows
	engine    *detect.Engine
	fed       bool                     // the engine has the history
	accepted  []store.Accepted         // what the engine is told is no leak, once it has the history
	alerts    map[string]detect.Alert  // that fire, by fingerprint
	subjects  map[string]agent.Subject // of what the engine was fed, by key
	figures   Figures                  // the last
	targets   map[string]int           // release on its way, by key of the app
	tracks    map[string]*track        // by fingerprint
	dismissed map[string]bool          // resolved by hand while the trouble goes on
	opened    []time.Time              // when reports of new incidents were written, lately
	digest    []agent.Incident         // that a storm held back
	digestAt  time.Time
	killed    map[string]bool      // ends by the kernel that the engine was told of
	restarts  map[string]time.Time // the last ones, by pod/container
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Cluster == nil || cfg.Workspace == nil || cfg.Incidents == nil || cfg.Silences == nil || cfg.Apps == nil || cfg.Recorder == nil {
		return nil, errors.New("the assistant needs a cluster, a workspace, a store, apps and a recorder")
	}
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	if cfg.Speed < 1 {
		return nil, fmt.Errorf("the assistant's clock can't be slower than time: %v", cfg.Speed)
	}
	if cfg.Exists == nil {
		cfg.Exists = func(context.Context, agent.Subject) (bool, error) { return true, nil }
	}
	if cfg.Link == nil {
		cfg.Link = func(int64) string { return "" }
	}
	if cfg.Reported == nil {
		cfg.Reported = func() {}
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg: cfg, wake: make(chan struct{}, 1), engine: detect.New(cfg.Params),
		scaled: func(d time.Duration) time.Duration { return time.Duration(float64(d) / cfg.Speed) },
		alerts: map[string]detect.Alert{}, subjects: map[string]agent.Subject{}, targets: map[string]int{},
		tracks: map[string]*track{}, dismissed: map[string]bool{}, killed: map[string]bool{},
	}, nil
}

// Start takes up the incidents that go on and begins to look.
func (m *Manager) Start(ctx context.Context) error {
	m.began = m.cfg.Now()
	open, err := m.cfg.Incidents.OpenIncidents(ctx)
	if err != nil {
		return err
	}
	for _, i := range open {
		m.tracks[i.Fingerprint] = restored(i, m.began)
	}
	accepted, err := m.cfg.Silences.AcceptedFingerprints(ctx)
	if err != nil {
		return err
	}
	m.accepted = accepted
	if m.crew.Start() {
		for _, work := range []func(context.Context){m.loop, m.countRequests, m.readLogs} {
			m.crew.Go(work)
		}
	}
	return nil
}

// Stop ends that; incidents stay as they are.
func (m *Manager) Stop(ctx context.Context) error {
	if err := m.crew.Stop(ctx, "the assistant"); err != nil {
		return err
	}
	m.cfg.Recorder.Close(ctx)
	return nil
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default: // one is on its way
	}
}

// loop looks at each change and now and then, until ctx ends.
func (m *Manager) loop(ctx context.Context) {
	defer func() {
		if m.watcher != nil {
			m.watcher.close()
		}
	}()
	each := max(m.scaled(passEach), time.Second)
	tick := time.NewTicker(each)
	defer tick.Stop()
	for {
		if err := m.pass(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "the assistant could not look", "error", err)
		}
		select { // what changes often is looked at once
		case <-ctx.Done():
			return
		case <-time.After(passPause):
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.wake:
		}
	}
}

// pass looks at everything once.
func (m *Manager) pass(ctx context.Context) error {
	workspace, err := m.cfg.Workspace.Current(ctx)
	if agent.CodeOf(err) == agent.CodeNotFound || err == nil && workspace.Status != agent.WorkspaceReady {
		return nil
	} else if err != nil {
		return err
	}
	if m.watcher == nil || m.watcher.namespace != workspace.Name {
		if err := m.rewatch(workspace.Name); err != nil {
			return err
		}
	}
	if !m.watcher.ready() {
		return nil
	}
	now := m.cfg.Now()
	s := m.watcher.snapshot(now)
	s.scale, s.open = m.scaled, map[string]bool{}
	if err := m.lookAtApps(ctx, &s); err != nil {
		return err
	}
	m.lookAtKills(ctx, &s)
	certificates, err := m.certificates(ctx, now)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.feedHistory(ctx, now, s); err != nil {
		return err
	}
	m.feedEvents(&s)
	s.figures = m.figures
	for fingerprint, t := range m.tracks {
		s.open[fingerprint] = t.incident != nil
	}
	var found []finding
	for _, r := range rules() {
		found = append(found, r(&s)...)
	}
	found = append(found, certificates...)
	found = append(found, m.judged(&s)...)
	return m.reconcile(ctx, now, workspace.Name, found)
}

func (m *Manager) rewatch(namespace string) error {
	w, err := watch(m.cfg.Cluster.Interface(), namespace, m.nudge)
	if err != nil {
		return err
	}
	old := m.watcher
	m.mu.Lock()
	m.watcher = w
	m.mu.Unlock()
	if old != nil {
		old.close()
	}
	return nil
}

// lookAtApps reads what the app manager knows, and the newest release of each
// app when it failed.
func (m *Manager) lookAtApps(ctx context.Context, s *snapshot) error {
	apps, err := m.cfg.Apps.List(ctx)
	if err != nil {
		return err
	}
	s.apps, s.releases = map[string]agent.App{}, map[string]agent.Release{}
	for _, a := range apps {
		key := keyOf(agent.Subject{Kind: agent.SubjectApp, Name: a.Name, Environment: a.Environment})
		s.apps[key] = a
		if a.Status != agent.AppError {
			continue
		}
		releases, err := m.cfg.Apps.Releases(ctx, a.Name, a.Environment)
		if err != nil {
			return err
		}
		if len(releases) > 0 && releases[0].Status == agent.ReleaseFailed {
			s.releases[key] = releases[0]
		}
	}
	return nil
}
