package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// begin has a goroutine of its own do the job.
func (m *Manager) begin(j agent.ApplianceJob) { m.crew.Go(func(ctx context.Context) { m.run(ctx, j) }) }

// keepPause is between two tries to write down how a job ended.
const keepPause = 5 * time.Second

// run does the job and writes down how it ended, unless the agent's end
// interrupted it.
func (m *Manager) run(ctx context.Context, j agent.ApplianceJob) {
	w := &worker{Manager: m, job: j}
	w.job.Attempts++
	w.job.Status, w.job.StartedAt, w.job.Steps = agent.RunRunning, m.cfg.Now().UTC(), []agent.JobStep{}
	w.job.Deadline = w.job.StartedAt.Add(jobDeadline)
	work, cancel := context.WithDeadline(ctx, time.Now().Add(jobDeadline))
	defer cancel()
	err := w.keep(work)
	switch {
	case err != nil:
	case w.job.Attempts > mostTries:
		err = agent.Errorf(agent.CodeConflict, "see the agent's log, then try again", "the agent ended in the middle of it %d times", mostTries)
	default:
		beating, stop := context.WithCancel(work)
		go w.beat(beating, j.ID)
		err = w.do(work)
		stop()
	}
	if ctx.Err() != nil {
		return // the agent stops; the next start takes it up
	}
	if errors.Is(work.Err(), context.DeadlineExceeded) {
		err = agent.Errorf(agent.CodeConflict, "leave volumes out, or give the machine a faster disk", "it did not end within %s", jobDeadline)
	}
	for {
		if err := m.finish(context.WithoutCancel(ctx), w.job, err); err == nil {
			return
		}
		m.cfg.Log.ErrorContext(ctx, "the end of a job can't be kept, trying again", "job", j.ID)
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepPause):
		}
	}
}

func (m *Manager) finish(ctx context.Context, j agent.ApplianceJob, cause error) error {
	j.Status, j.FinishedAt = agent.RunSucceeded, m.cfg.Now().UTC()
	level, message := "info", wordOf(j)+" succeeded"
	if cause != nil {
		j.Status, j.Failure = agent.RunFailed, m.failure(ctx, j, cause)
		level, message = "error", wordOf(j)+" failed: "+j.Failure.Message
	}
	if err := m.cfg.Ledger.PutApplianceJob(ctx, j, time.Time{}); err != nil {
		return err
	}
	m.tell(ctx, level, message, j.By)
	m.publish(ctx)
	m.cfg.Ended(ctx, j)
	return nil
}

func (m *Manager) failure(ctx context.Context, j agent.ApplianceJob, err error) *agent.Failure {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return &agent.Failure{Code: e.Code, Message: e.Message, Fix: e.Fix}
	}
	m.cfg.Log.ErrorContext(ctx, "a job of the appliance met a fault of ours", "job", j.ID, "kind", j.Kind, "error", err)
	return &agent.Failure{Code: agent.CodeInternal, Message: "hks met a fault of its own: " + err.Error(), Fix: "the agent's log says more; try again"}
}

// worker does one job.
type worker struct {
	*Manager
	job agent.ApplianceJob
}

func (w *worker) do(ctx context.Context) error {
	if err := w.clear(); err != nil {
		return err
	}
	var err error
	if w.job.Kind == agent.ApplianceDrillJob {
		err = w.drill(ctx)
	} else {
		err = w.save(ctx)
	}
	return errors.Join(err, w.clear())
}

// step adds a line to what the job did.
func (w *worker) step(ctx context.Context, format string, args ...any) error {
	w.job.Steps = append(w.job.Steps, agent.JobStep{Time: w.cfg.Now().UTC(), Text: fmt.Sprintf(format, args...)})
	return w.keep(ctx)
}

func (w *worker) keep(ctx context.Context) error {
	if err := w.cfg.Ledger.PutApplianceJob(ctx, w.job, w.cfg.Now().Add(lease)); err != nil {
		return err
	}
	w.publish(ctx)
	return nil
}

// beat says that the job is at work, as long as it is.
func (w *worker) beat(ctx context.Context, id int64) {
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := w.cfg.Ledger.RenewApplianceLease(ctx, id, w.cfg.Now().Add(lease)); err != nil && ctx.Err() == nil {
				w.cfg.Log.WarnContext(ctx, "a job can't say that it is at work", "job", id, "error", err)
			}
		}
	}
}
