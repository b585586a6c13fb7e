package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

// Config is what the manager needs.
type Config struct {
	Store    Store
	Builder  Builder
	Cache    Cache
	Deployer Deployer
	Bases    Bases

	Dir    string // of sources and logs
	CA     bool   // certificates are offered to steps
	Budget int64  // bytes that the builder's cache may take, for words only
	Limits Limits // of a source; default DefaultLimits

	// MinFree is how much of the disk must be free for a build to begin, in bytes;
	// default 2 GiB, twice what images may not use. FreeSpace tells what is free
	// below a folder; default asks the kernel.
	MinFree   int64
	FreeSpace func(dir string) (int64, error)

	Publish  func(kind, subject string, object any)
	Activity func(ctx context.Context, activity agent.Activity)

	Now func() time.Time // default time.Now
	Log *slog.Logger
}

const (
	atATime      = 2                // builds; their steps share the builder's bounds
	mostQueued   = 20               // builds that wait
	mostAttempts = 3                // at a build that the agent's end cuts off each time
	deadline     = 30 * time.Minute // of a build
	keepPause    = 5 * time.Second  // between two tries to write the end of a build
	keepLimit    = 30 * time.Second // for writing a build that was accepted
)

// Manager builds sources, those of an app in the order in which they came. A build that the
// agent's end interrupts begins again at the next start; the builder's cache
// keeps what was done.
type Manager struct {
	cfg   Config
	work  chan struct{} // holds a token for each build at work
	ended sync.WaitGroup

	mu      sync.Mutex // guards the rest
	ctx     context.Context
	stop    context.CancelFunc
	running map[int64]context.CancelCauseFunc
	newest  map[string]chan struct{} // by app: closed when its newest build has ended
	logs    map[int64]*journal
}

// errCancelled is why a build that its owner cancelled ends.
var errCancelled = errors.New("cancelled")

// New checks the settings; Start begins the work.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Builder == nil || cfg.Cache == nil || cfg.Deployer == nil || cfg.Bases == nil || cfg.Dir == "" {
		return nil, errors.New("build: Store, Builder, Cache, Deployer, Bases and Dir are needed")
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	if cfg.MinFree <= 0 {
		cfg.MinFree = 2 << 30
	}
	if cfg.FreeSpace == nil {
		cfg.FreeSpace = freeSpace
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Activity == nil {
		cfg.Activity = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{
		cfg: cfg, work: make(chan struct{}, atATime),
		running: map[int64]context.CancelCauseFunc{}, newest: map[string]chan struct{}{}, logs: map[int64]*journal{},
	}, nil
}

// Start takes up the builds that were not finished, and clears away sources
// that belong to none.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.ctx != nil {
		m.mu.Unlock()
		return nil
	}
	m.ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Unlock()
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of builds: %w", err)
	}
	if err := buildkit.Sweep(); err != nil {
		m.cfg.Log.Warn("what earlier builds left stays for now", "err", err)
	}
	unfinished, err := m.cfg.Store.UnfinishedBuilds(ctx)
	if err != nil {
		return err
	}
	if err := m.sweep(unfinished); err != nil {
		return err
	}
	for _, b := range unfinished {
		m.log(b.ID).note("the agent was restarted; the build goes on")
		m.begin(b)
	}
	return nil
}

// Stop interrupts the builds; the next Start takes them up again.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	if m.stop == nil {
		m.mu.Unlock()
		return nil
	}
	m.stop() // with the lock: no build begins after it
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() { defer close(ended); m.ended.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the builds: %w", ctx.Err())
	}
}

// Submit accepts a source, a tar archive that may be compressed by gzip, for a
// build and a release of what it makes. When it returns, source and build are
// on disk.
func (m *Manager) Submit(ctx context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error) {
	if err := agent.ValidateName("app", app); err != nil {
		return agent.Build{}, err
	}
	env, err := agent.ParseEnvironment(string(env))
	if err != nil {
		return agent.Build{}, err
	}
	unfinished, err := m.cfg.Store.UnfinishedBuilds(ctx)
	if err != nil {
		return agent.Build{}, err
	}
	if len(unfinished) >= mostQueued {
		return agent.Build{}, agent.Errorf(agent.CodeTooMany, "wait for one to end, or cancel one: hks build list", "%d builds are waiting already", len(unfinished))
	}
	if err := m.room(); err != nil {
		return agent.Build{}, err
	}
	incoming, err := os.MkdirTemp(m.cfg.Dir, incomingPrefix)
	if err != nil {
		return agent.Build{}, fmt.Errorf("making room for a source: %w", err)
	}
	defer func() { _ = os.RemoveAll(incoming) }() // moved away when all went well
	if err := unpack(filepath.Join(incoming, sourceFolder), source, m.cfg.Limits); err != nil {
		return agent.Build{}, err
	}
	if err := m.check(ctx, filepath.Join(incoming, sourceFolder), app, env, request); err != nil {
		return agent.Build{}, err
	}
	if err := syncAll(incoming); err != nil {
		return agent.Build{}, err
	}
	// A client that goes away now must not leave half of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepLimit)
	defer cancel()
	b, err := m.cfg.Store.AddBuild(ctx, agent.Build{App: app, Environment: env, By: by}, request, func(id int64) error {
		// A folder of this number belongs to a build that was never kept.
		if err := errors.Join(os.RemoveAll(m.folder(id)), os.Rename(incoming, m.folder(id))); err != nil {
			return fmt.Errorf("keeping a source: %w", err)
		}
		return nil
	})
	if err != nil {
		return agent.Build{}, err
	}
	m.tell(ctx, b, "info", fmt.Sprintf("build %d accepted", b.ID))
	m.publish(b)
	m.begin(b)
	return b, nil
}

// Get returns one build.
func (m *Manager) Get(ctx context.Context, id int64) (agent.Build, error) {
	b, ok, err := m.cfg.Store.Build(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks build list shows what there is", "there is no build %d", id)
	}
	return b, err
}

// List returns builds, newest first; app and env may be empty for all.
func (m *Manager) List(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error) {
	return m.cfg.Store.Builds(ctx, app, env)
}

// Cancel stops a build that has not ended.
func (m *Manager) Cancel(ctx context.Context, id int64, by string) (agent.Build, error) {
	b, err := m.Get(ctx, id)
	if err != nil {
		return agent.Build{}, err
	}
	if b.Status.Done() {
		return agent.Build{}, agent.Errorf(agent.CodeConflict, "", "build %d %s already", id, ending(b.Status))
	}
	m.mu.Lock()
	cancel := m.running[id]
	m.mu.Unlock()
	m.log(id).note("cancelled by " + by)
	if cancel != nil {
		cancel(errCancelled)
	}
	m.finish(ctx, b, agent.RunCancelled, 0, nil)
	return m.Get(ctx, id)
}

// CancelAll stops all builds for an app that have not ended.
func (m *Manager) CancelAll(ctx context.Context, app string, env agent.Environment, by string) error {
	unfinished, err := m.cfg.Store.UnfinishedBuilds(ctx)
	if err != nil {
		return err
	}
	for _, b := range unfinished {
		if b.App != app || b.Environment != env {
			continue
		}
		if _, err := m.Cancel(ctx, b.ID, by); err != nil && agent.CodeOf(err) != agent.CodeConflict { // else it has ended meanwhile
			return err
		}
	}
	return nil
}

// check refuses, before anything is promised, what the release of a build
// would be refused for after it.
func (m *Manager) check(ctx context.Context, source, app string, env agent.Environment, request agent.BuildRequest) error {
	if app == ownName {
		return agent.Errorf(agent.CodeInvalid, "give it another name", "the images of an app called %s would be taken for the appliance's own", app)
	}
	components, err := readProject(source, env)
	if err != nil {
		return err
	}
	if request.Only {
		return nil
	}
	deploy := deployOf(components, request)
	for i := range deploy.Components {
		if c := &deploy.Components[i]; c.Image == "" {
			c.Image = agent.RegistryHost + "/" + app + "/" + c.Name + ":not-built-yet"
		}
	}
	return m.cfg.Deployer.Check(ctx, app, env, deploy)
}

// Building tells whether a build is at work or waits.
func (m *Manager) Building() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.running) > 0
}

// begin has a goroutine of its own wait for its turn and build. Builds of one
// app come one after the other, so that the newest source is released last.
func (m *Manager) begin(b agent.Build) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return // the next start finds it
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	m.running[b.ID] = cancel
	before, ended := m.newest[b.App], make(chan struct{})
	m.newest[b.App] = ended
	m.ended.Go(func() {
		defer func() {
			cancel(nil)
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.running, b.ID)
			if close(ended); m.newest[b.App] == ended {
				delete(m.newest, b.App)
			}
		}()
		if before != nil {
			<-before // also when cancelled: the next one waits for both
		}
		select {
		case m.work <- struct{}{}:
			defer func() { <-m.work }()
		case <-ctx.Done():
			return
		}
		m.run(ctx, b)
	})
}

// run builds and ends the build, unless the agent's end interrupted it.
func (m *Manager) run(ctx context.Context, b agent.Build) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	attempt, err := m.cfg.Store.StartBuild(ctx, b.ID)
	if err != nil || attempt == 0 {
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Error("a build can't be started", "build", b.ID, "err", err)
		}
		return
	}
	b.Status, b.StartedAt = agent.RunRunning, m.cfg.Now()
	m.publish(b)
	after := context.WithoutCancel(ctx)
	if attempt > mostAttempts {
		m.finish(after, b, agent.RunFailed, 0, &agent.Failure{Code: agent.CodeBuildFailed,
			Message: fmt.Sprintf("the agent ended %d times while the build was at work, so it is not begun again", mostAttempts),
			Fix:     "see whether the machine runs out of memory or disk (hks status), then build again: hks deploy"})
		return
	}
	release, err := m.build(ctx, &b)
	switch {
	case err == nil:
		m.finish(after, b, agent.RunSucceeded, release.Number, nil) // kept with the release already
	case errors.Is(context.Cause(ctx), errCancelled):
		// Cancel has ended it.
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		m.finish(after, b, agent.RunFailed, 0, &agent.Failure{Code: agent.CodeBuildFailed,
			Message: fmt.Sprintf("the build did not end within %s", deadline), Fix: "see its log for what takes so long: hks build logs " + strconv.FormatInt(b.ID, 10)})
	case ctx.Err() != nil: // the agent stops
		if err := m.cfg.Store.PauseBuild(after, b.ID); err != nil {
			m.cfg.Log.Warn("a stop counts as a failed try of the build", "build", b.ID, "err", err)
		}
	default:
		m.finish(after, b, agent.RunFailed, 0, m.masked(after, b, m.failure(b, err)))
	}
}

// masked takes the secrets of a build out of its failure. Where they can't be
// read nothing can be masked, and so nothing is told.
func (m *Manager) masked(ctx context.Context, b agent.Build, f *agent.Failure) *agent.Failure {
	request, err := m.cfg.Store.BuildRequest(ctx, b.ID)
	if err != nil {
		m.cfg.Log.Error("the secrets of a build can't be read", "build", b.ID, "err", err)
		return &agent.Failure{Code: f.Code, Message: "the build failed", Fix: "see its log: hks build logs " + strconv.FormatInt(b.ID, 10)}
	}
	return newMask(request.Secrets).failure(f)
}

func (m *Manager) failure(b agent.Build, err error) *agent.Failure {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return &agent.Failure{Code: e.Code, Message: e.Message, Fix: e.Fix}
	}
	m.cfg.Log.Error("a build met a fault of ours", "build", b.ID, "err", err)
	return &agent.Failure{Code: agent.CodeInternal, Message: "hks met a fault of its own", Fix: "the agent's log says more; build again"}
}

// finish ends a build for whoever looks at it.
func (m *Manager) finish(ctx context.Context, b agent.Build, status agent.RunStatus, release int, failure *agent.Failure) {
	// First the source goes: on a full disk that is the room for what follows.
	source := filepath.Join(m.folder(b.ID), sourceFolder)
	if err := os.RemoveAll(source); err != nil {
		m.cfg.Log.Warn("a source that is no longer needed stays", "folder", source, "err", err)
	}
	finished, gone, err := m.keepEnd(ctx, b.ID, status, release, failure)
	if err != nil || !finished && status != agent.RunSucceeded {
		return
	}
	done, err := m.Get(ctx, b.ID)
	if err != nil {
		m.cfg.Log.Error("a build that ended can't be read", "build", b.ID, "err", err)
		return
	}
	switch {
	case failure != nil:
		m.tell(ctx, b, "error", fmt.Sprintf("build %d failed: %s", b.ID, failure.Message))
	default:
		m.tell(ctx, b, "info", fmt.Sprintf("build %d %s", b.ID, ending(status)))
	}
	m.publish(done)
	m.log(b.ID).end(done)
	m.mu.Lock()
	for _, id := range gone {
		delete(m.logs, id)
	}
	m.mu.Unlock()
	for _, folder := range m.folders(gone) {
		if err := os.RemoveAll(folder); err != nil {
			m.cfg.Log.Warn("a source that is no longer needed stays", "folder", folder, "err", err)
		}
	}
}

// keepEnd writes the end of a build down, again and again while that fails: a
// build that has ended must not show as running. The agent's end ends it too;
// the next start builds again.
func (m *Manager) keepEnd(ctx context.Context, id int64, status agent.RunStatus, release int, failure *agent.Failure) (finished bool, gone []int64, err error) {
	m.mu.Lock()
	stopped := m.ctx.Done()
	m.mu.Unlock()
	for {
		if finished, gone, err = m.cfg.Store.FinishBuild(ctx, id, status, release, failure); err == nil {
			return finished, gone, nil
		}
		m.cfg.Log.Error("the end of a build can't be kept, trying again", "build", id, "err", err)
		pause := time.NewTimer(keepPause)
		select {
		case <-stopped:
			pause.Stop()
			return false, nil, err
		case <-pause.C:
		}
	}
}

func (m *Manager) tell(ctx context.Context, b agent.Build, level, message string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: b.App + "/" + string(b.Environment), Message: message, By: b.By})
}

func (m *Manager) publish(b agent.Build) {
	m.cfg.Publish("build", b.App+"/"+string(b.Environment), b)
}
