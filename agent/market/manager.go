package market

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Config is what the manager needs. Publish, Activity, Now and Log may be nil.
type Config struct {
	Store     *store.Store
	Cluster   Cluster
	Workspace Workspace
	Helm      Helm
	Shell     Shell
	Apps      Apps
	Remote    Remote
	Volumes   Volumes
	Places    Places // nil: there is the shared pool only

	Backups string        // folder of archives
	Charts  string        // folder of the owner's own charts
	Grace   time.Duration // how long the volume of a removed service stays; default 7 days

	Ready time.Duration // how long an instance that was moved may take to get ready; default 5 min

	Publish  func(kind, subject string, object any)
	Activity func(ctx context.Context, activity agent.Activity)
	Ended    func(ctx context.Context, job agent.ServiceJob) // told of each job's end; may be nil

	Now func() time.Time
	Log *slog.Logger
}

const (
	jobsAtOnce  = 2
	jobDeadline = 30 * time.Minute
	keepPause   = 5 * time.Second // between two tries to write the end of a job
	awayPause   = 3 * time.Second // between two tries while the cluster is away
	awayLimit   = 15 * time.Minute
)

// Manager runs the services.
type Manager struct {
	cfg       Config
	catalogue *catalogue
	slots     chan struct{} // one element for each job at work
	ended     sync.WaitGroup

	accepting sync.Mutex // held while a service is checked and accepted

	mu   sync.Mutex // guards the rest
	ctx  context.Context
	stop context.CancelFunc
}

// New checks the settings and reads the catalogue; Start begins the work.
func New(cfg Config) (*Manager, error) {
	for name, missing := range map[string]bool{
		"Store": cfg.Store == nil, "Cluster": cfg.Cluster == nil, "Workspace": cfg.Workspace == nil, "Helm": cfg.Helm == nil, "Shell": cfg.Shell == nil,
		"Apps": cfg.Apps == nil, "Remote": cfg.Remote == nil, "Volumes": cfg.Volumes == nil, "Backups": cfg.Backups == "", "Charts": cfg.Charts == "",
	} {
		if missing {
			return nil, fmt.Errorf("market: %s is needed", name)
		}
	}
	if cfg.Grace == 0 {
		cfg.Grace = 7 * 24 * time.Hour
	}
	if cfg.Ready <= 0 {
		cfg.Ready = 5 * time.Minute // a recovery after a crash takes its time
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
	return &Manager{cfg: cfg, catalogue: &catalogue{folder: cfg.Charts}, slots: make(chan struct{}, jobsAtOnce)}, nil
}

// Start takes up the jobs that were not finished, and what is due by itself.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	if m.ctx != nil {
		m.mu.Unlock()
		return nil
	}
	m.ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Unlock()
	if err := errors.Join(os.MkdirAll(m.cfg.Backups, 0o700), os.MkdirAll(m.cfg.Charts, 0o700), m.sweepIncoming()); err != nil {
		return fmt.Errorf("making the folders of the marketplace: %w", err)
	}
	unfinished, err := m.cfg.Store.UnfinishedServiceJobs(ctx)
	if err != nil {
		return err
	}
	for _, job := range unfinished {
		if err := m.takeUp(ctx, job); err != nil {
			return err
		}
	}
	m.ended.Go(func() { m.tend(m.ctx) })
	return nil
}

// takeUp goes on with a job that the agent's end cut off. Only a restore is
// not begun again: it may have been done, and rows written since.
func (m *Manager) takeUp(ctx context.Context, job agent.ServiceJob) error {
	if job.Status == agent.RunRunning && job.Kind == kindRestore {
		return m.finish(ctx, job, &agent.Error{
			Code:    agent.CodeConflict,
			Message: "the agent ended in the middle of the restore; the database is whole, either as it was before or as in the backup",
			Fix:     "look at its data, and restore again if it is as before: hks backup restore " + job.Service,
		})
	}
	if job.Status == agent.RunRunning {
		job.Steps = append(job.Steps, agent.JobStep{Time: m.cfg.Now(), Text: "the agent was restarted; the work goes on"})
		if err := m.cfg.Store.PutServiceJob(ctx, job); err != nil {
			return err
		}
	}
	m.begin(job)
	return nil
}

// sweepIncoming removes archives that were never finished.
func (m *Manager) sweepIncoming() error {
	left, err := filepath.Glob(filepath.Join(m.cfg.Backups, incomingPrefix+"*"))
	for _, file := range left {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// Stop interrupts the jobs; the next Start takes them up again.
func (m *Manager) Stop(ctx context.Context) error {
	m.mu.Lock()
	if m.stop == nil {
		m.mu.Unlock()
		return nil
	}
	m.stop() // with the lock: no job begins after it
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() { defer close(ended); m.ended.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the marketplace: %w", ctx.Err())
	}
}

// service finds one that is there, removed or not.
func (m *Manager) service(ctx context.Context, name string) (store.Service, error) {
	if err := agent.ValidateName("service", name); err != nil {
		return store.Service{}, err
	}
	s, ok, err := m.cfg.Store.Service(ctx, name)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks market list shows what there is", "there is no service %s", name)
	}
	return s, err
}

// installed finds one that is not removed.
func (m *Manager) installed(ctx context.Context, name string) (store.Service, error) {
	s, err := m.service(ctx, name)
	if err == nil && s.Status == agent.ServiceRemoved {
		err = agent.Errorf(agent.CodeConflict, fmt.Sprintf("bring it back with its data: hks market install %s %s", s.Chart, s.Name), "%s was removed; its volume stays until %s", s.Name, s.KeptUntil.Format(time.DateOnly))
	}
	return s, err
}

// namespace is where services live.
func (m *Manager) namespace(ctx context.Context) (string, error) {
	ws, err := m.workspace(ctx)
	return ws.Name, err
}

// workspace returns the workspace when services can live in it.
func (m *Manager) workspace(ctx context.Context) (agent.Workspace, error) {
	ws, err := m.cfg.Workspace.Current(ctx)
	if err != nil {
		return agent.Workspace{}, err
	}
	if ws.Name == "" || ws.Status != agent.WorkspaceReady {
		return agent.Workspace{}, &agent.Error{
			Code: agent.CodeWorkspaceMissing, Message: "the workspace is not ready", Fix: "wait until it is: hks workspace show",
			Details: map[string]any{"status": ws.Status},
		}
	}
	return ws, nil
}

func (m *Manager) tell(ctx context.Context, name, level, message, by string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: name, Message: message, By: by})
}

// publish tells listeners how a service is now.
func (m *Manager) publish(ctx context.Context, name string) {
	s, err := m.Get(ctx, name)
	switch {
	case agent.CodeOf(err) == agent.CodeNotFound:
		m.cfg.Publish("service", name, nil)
	case err != nil:
		m.cfg.Log.Warn("a service can't be shown", "service", name, "err", err)
	default:
		m.cfg.Publish("service", name, s)
	}
}
