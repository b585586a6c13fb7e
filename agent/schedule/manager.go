package schedule

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

// Defaults and bounds of a job.
const (
	defaultDeadline = time.Hour
	defaultTimeout  = 10 * time.Minute
	mostTimeout     = 24 * time.Hour
	upcoming        = 5
)

// Manager keeps the cron jobs and runs them. It is safe for concurrent use.
type Manager struct {
	cfg  Config
	wake chan struct{}
	crew agent.Crew

	mu     sync.Mutex                        // guards what follows, and the read-modify-write of jobs
	active map[int64]context.CancelCauseFunc // runs that a goroutine looks after, by id
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Containers == nil || cfg.Limit == nil || cfg.Dir == "" {
		return nil, errors.New("cron jobs need a store, containers, a plan and a folder")
	}
	if cfg.Prewarm == nil {
		cfg.Prewarm = func(context.Context, string) {}
	}
	if cfg.Ended == nil {
		cfg.Ended = func(context.Context, agent.CronJob, agent.CronRun) {}
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
	return &Manager{cfg: cfg, wake: make(chan struct{}, 1), active: map[int64]context.CancelCauseFunc{}}, nil
}

// Start begins to look at the clock; runs that were interrupted go on first.
func (m *Manager) Start(context.Context) error {
	if m.crew.Start() {
		m.crew.Go(m.loop)
	}
	return nil
}

// Stop ends that; runs go on where they are and are found again at the next
// start.
func (m *Manager) Stop(ctx context.Context) error {
	return m.crew.Stop(ctx, "cron jobs")
}

// Preview tells when a schedule is due next, or what is wrong with it.
func (m *Manager) Preview(schedule, zone string) ([]time.Time, error) {
	t, err := Parse(schedule, zone)
	if err != nil {
		return nil, err
	}
	return t.Coming(m.cfg.Now(), upcoming), nil
}

// Create makes a cron job. Everything is checked first.
func (m *Manager) Create(ctx context.Context, j agent.CronJob, by string) (agent.CronJob, error) {
	j.Target.Trigger = 0
	if err := m.check(ctx, &j); err != nil {
		return agent.CronJob{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists, err := m.cfg.Store.CronJob(ctx, j.Name); err != nil {
		return agent.CronJob{}, err
	} else if exists {
		return agent.CronJob{}, agent.Errorf(agent.CodeConflict, "choose another name, or change it with: hks cron edit "+j.Name, "there is a cron job %q already", j.Name)
	}
	if err := m.allow(ctx); err != nil {
		return agent.CronJob{}, err
	}
	now := m.cfg.Now().UTC()
	j.By, j.CreatedAt, j.UpdatedAt = by, now, now
	return m.put(ctx, store.CronJob{CronJob: j, Cursor: now}, "cron job %s was created")
}

// Edit changes a cron job. What was due before counts no more.
func (m *Manager) Edit(ctx context.Context, j agent.CronJob, by string) (agent.CronJob, error) {
	if err := m.check(ctx, &j); err != nil {
		return agent.CronJob{}, err
	}
	j.Target.Trigger = 0
	return m.alter(ctx, j.Name, by, "cron job %s was changed", func(old *store.CronJob, now time.Time) error {
		if err := ofTrigger(*old); err != nil {
			return err
		}
		j.CreatedAt, old.CronJob, old.Cursor = old.CreatedAt, j, now
		return nil
	})
}

// Pause keeps a job from running until it is resumed.
func (m *Manager) Pause(ctx context.Context, name, by string) (agent.CronJob, error) {
	return m.alter(ctx, name, by, "cron job %s is paused", func(j *store.CronJob, _ time.Time) error {
		j.Paused = true
		return nil
	})
}

// Resume lets a paused job run again. What was due meanwhile counts no more.
func (m *Manager) Resume(ctx context.Context, name, by string) (agent.CronJob, error) {
	return m.alter(ctx, name, by, "cron job %s runs again", func(j *store.CronJob, now time.Time) error {
		if j.Paused {
			j.Paused, j.Cursor = false, now
		}
		return nil
	})
}

func (m *Manager) alter(ctx context.Context, name, by, said string, with func(*store.CronJob, time.Time) error) (agent.CronJob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok, err := m.cfg.Store.CronJob(ctx, name)
	if err != nil {
		return agent.CronJob{}, err
	}
	if !ok {
		return agent.CronJob{}, absent(name)
	}
	now := m.cfg.Now().UTC()
	if err := with(&j, now); err != nil {
		return agent.CronJob{}, err
	}
	j.By, j.UpdatedAt = by, now
	return m.put(ctx, j, said)
}

// put writes a job, tells of it and has the loop look. The caller holds mu.
func (m *Manager) put(ctx context.Context, j store.CronJob, said string) (agent.CronJob, error) {
	if err := m.cfg.Store.PutCronJob(ctx, j); err != nil {
		return agent.CronJob{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "cron/" + j.Name, Message: fmt.Sprintf(said, j.Name), By: j.By})
	m.nudge()
	view, err := m.view(ctx, j)
	if err == nil {
		m.cfg.Publish("cron", j.Name, view)
	}
	return view, err
}

// Delete forgets a job and its history, and ends what runs of it.
func (m *Manager) Delete(ctx context.Context, name, by string) error {
	j, ok, err := m.cfg.Store.CronJob(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		return absent(name)
	}
	if err := ofTrigger(j); err != nil {
		return err
	}
	return m.remove(ctx, name, by)
}

// remove is Delete, whoever keeps the job.
func (m *Manager) remove(ctx context.Context, name, by string) error {
	j, ok, err := m.cfg.Store.CronJob(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		return absent(name)
	}
	runs, err := m.cfg.Store.CronRuns(ctx, name, store.KeptCronRuns)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if !r.Status.Done() {
			if err := m.end(ctx, j.CronJob, r); err != nil {
				return err
			}
		}
	}
	if err := m.cfg.Store.DeleteCronJob(ctx, name); err != nil {
		return err
	}
	for _, r := range runs {
		if err := m.dropOutput(r.ID); err != nil {
			m.cfg.Log.WarnContext(ctx, "removing a run's output", "run", r.ID, "error", err)
		}
	}
	m.cfg.Publish("cron", name, nil)
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "cron/" + name, Message: "cron job " + name + " was deleted", By: by})
	return nil
}

// List tells of all jobs.
func (m *Manager) List(ctx context.Context) ([]agent.CronJob, error) {
	jobs, err := m.cfg.Store.CronJobs(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]agent.CronJob, 0, len(jobs))
	for _, j := range jobs {
		view, err := m.view(ctx, j)
		if err != nil {
			return nil, err
		}
		list = append(list, view)
	}
	return list, nil
}

// Get tells of one job.
func (m *Manager) Get(ctx context.Context, name string) (agent.CronJob, error) {
	j, ok, err := m.cfg.Store.CronJob(ctx, name)
	if err != nil {
		return agent.CronJob{}, err
	}
	if !ok {
		return agent.CronJob{}, absent(name)
	}
	return m.view(ctx, j)
}

// Count is how many jobs there are, for the plan.
func (m *Manager) Count(ctx context.Context) (int64, error) {
	jobs, err := m.cfg.Store.CronJobs(ctx)
	return int64(len(jobs)), err
}

func (m *Manager) view(ctx context.Context, j store.CronJob) (agent.CronJob, error) {
	view := j.CronJob
	view.Next = []time.Time{}
	if t, err := Parse(j.Schedule, j.TimeZone); err == nil && !j.Paused {
		view.Next = t.Coming(m.cfg.Now(), upcoming)
	}
	last, err := m.cfg.Store.CronRuns(ctx, j.Name, 1)
	if err != nil {
		return agent.CronJob{}, err
	}
	if len(last) > 0 {
		view.Last = &last[0]
	}
	return view, nil
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func absent(name string) *agent.Error {
	return agent.Errorf(agent.CodeNotFound, "list them with: hks cron list", "there is no cron job %q", name)
}
