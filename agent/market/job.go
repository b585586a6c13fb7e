package market

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Kinds of jobs.
const (
	kindInstall   = "install"
	kindUpgrade   = "upgrade"
	kindUninstall = "uninstall"
	kindRotate    = "rotate"
	kindBackup    = "backup"
	kindRestore   = "restore"
	kindVerify    = "verify"
	kindMove      = "move"
)

// submit accepts a job. When it returns, the job is on disk.
func (m *Manager) submit(ctx context.Context, job agent.ServiceJob, args any, status agent.ServiceStatus) (agent.ServiceJob, error) {
	accepted, err := m.cfg.Store.AddServiceJob(ctx, job, args, status)
	if err != nil {
		return agent.ServiceJob{}, busy(job.Service, err)
	}
	m.accepted(ctx, accepted)
	return accepted, nil
}

func (m *Manager) accepted(ctx context.Context, job agent.ServiceJob) {
	m.tell(ctx, job.Service, "info", job.Kind+" accepted", job.By)
	m.publish(ctx, job.Service)
	m.begin(job)
}

func busy(name string, err error) error {
	if errors.Is(err, store.ErrServiceBusy) {
		return agent.Errorf(agent.CodeConflict, "wait for it to end: hks market show "+name, "%s is at work already", name)
	}
	return err
}

// begin has a goroutine of its own do the job, when it is its turn.
func (m *Manager) begin(job agent.ServiceJob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return // the next start finds it
	}
	ctx := m.ctx
	m.ended.Go(func() {
		select {
		case m.slots <- struct{}{}:
			defer func() { <-m.slots }()
		case <-ctx.Done():
			return
		}
		m.run(ctx, job)
	})
}

// run does the job and writes down how it ended, unless the agent's end
// interrupted it.
func (m *Manager) run(ctx context.Context, job agent.ServiceJob) {
	work, cancel := context.WithTimeout(ctx, jobDeadline)
	defer cancel()
	job.Status, job.StartedAt = agent.RunRunning, m.cfg.Now()
	w := &worker{Manager: m, job: job}
	if err := w.keep(work); err != nil {
		m.cfg.Log.Error("a job can't be started", "job", job.ID, "err", err)
		return
	}
	err := w.patiently(work)
	if ctx.Err() != nil {
		return // the agent stops
	}
	if errors.Is(work.Err(), context.DeadlineExceeded) {
		err = agent.Errorf(agent.CodeRollout, "see how far it came: hks market show "+job.Service, "the %s did not end within %s", job.Kind, jobDeadline)
	}
	for {
		if err := m.finish(context.WithoutCancel(ctx), w.job, err); err == nil {
			return
		}
		m.cfg.Log.Error("the end of a job can't be kept, trying again", "job", job.ID)
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepPause):
		}
	}
}

// finish ends a job for whoever looks at it.
func (m *Manager) finish(ctx context.Context, job agent.ServiceJob, cause error) error {
	job.Status, job.FinishedAt = agent.RunSucceeded, m.cfg.Now()
	level, message := "info", job.Kind+" succeeded"
	if cause != nil {
		job.Status, job.Failure = agent.RunFailed, m.failure(job, cause)
		level, message = "error", job.Kind+" failed: "+job.Failure.Message
	}
	if err := m.settle(ctx, job); err != nil {
		return err
	}
	if err := m.cfg.Store.PutServiceJob(ctx, job); err != nil {
		return err
	}
	m.tell(ctx, job.Service, level, message, job.By)
	m.publish(ctx, job.Service)
	if m.cfg.Ended != nil {
		m.cfg.Ended(ctx, job)
	}
	return nil
}

// settle gives the service the status that the end of a job leaves it in.
func (m *Manager) settle(ctx context.Context, job agent.ServiceJob) error {
	s, ok, err := m.cfg.Store.Service(ctx, job.Service)
	if err != nil || !ok {
		return err // a purged one is gone
	}
	switch {
	case job.Status == agent.RunFailed && (job.Kind == kindInstall || job.Kind == kindUninstall):
		s.Status = agent.ServiceError
	case s.Status == agent.ServiceRemoved:
		return nil
	default:
		s.Status = agent.ServiceRunning
	}
	return m.cfg.Store.PutService(ctx, s)
}

func (m *Manager) failure(job agent.ServiceJob, err error) *agent.Failure {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return &agent.Failure{Code: e.Code, Message: e.Message, Fix: e.Fix}
	}
	m.cfg.Log.Error("a job of the marketplace met a fault of ours", "job", job.ID, "kind", job.Kind, "service", job.Service, "err", err)
	return &agent.Failure{Code: agent.CodeInternal, Message: "hks met a fault of its own", Fix: "the agent's log says more; try again"}
}

// worker does one job.
type worker struct {
	*Manager
	job agent.ServiceJob
}

// keep writes down how far the job is and tells whoever looks.
func (w *worker) keep(ctx context.Context) error {
	if err := w.cfg.Store.PutServiceJob(ctx, w.job); err != nil {
		return err
	}
	w.publish(ctx, w.job.Service)
	return nil
}

// step adds a line to what the job did.
func (w *worker) step(ctx context.Context, format string, args ...any) error {
	w.job.Steps = append(w.job.Steps, agent.JobStep{Time: w.cfg.Now(), Text: fmt.Sprintf(format, args...)})
	return w.keep(ctx)
}

// patiently does the job, again and again while the cluster is away.
func (w *worker) patiently(ctx context.Context) error {
	begin := w.cfg.Now()
	for {
		err := w.do(ctx)
		code := agent.CodeOf(err)
		away := code == agent.CodeClusterAway || code == agent.CodeWorkspaceMissing
		if !away || w.job.Kind == kindRestore || w.cfg.Now().Sub(begin) > awayLimit {
			return err
		}
		w.cfg.Log.Info("a job waits for the cluster", "job", w.job.ID, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(awayPause):
		}
	}
}

func (w *worker) do(ctx context.Context) error {
	s, ok, err := w.cfg.Store.Service(ctx, w.job.Service)
	if err != nil {
		return err
	}
	if !ok && w.job.Kind == kindUninstall {
		return nil // purged before the agent's end
	}
	if !ok {
		return agent.Errorf(agent.CodeNotFound, "", "the service %s is gone", w.job.Service)
	}
	switch w.job.Kind {
	case kindInstall:
		return w.install(ctx, s)
	case kindUpgrade:
		return w.upgrade(ctx, s)
	case kindUninstall:
		return w.uninstall(ctx, s)
	case kindRotate:
		return w.rotate(ctx, s)
	case kindBackup:
		return w.backup(ctx, s)
	case kindRestore:
		return w.restore(ctx, s)
	case kindVerify:
		return w.verify(ctx, s)
	case kindMove:
		return w.moveTo(ctx, s)
	}
	return fmt.Errorf("there is no work of the kind %q", w.job.Kind)
}

// Job returns one job.
func (m *Manager) Job(ctx context.Context, id int64) (agent.ServiceJob, error) {
	job, ok, err := m.cfg.Store.ServiceJob(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "", "there is no job %d", id)
	}
	return job, err
}
