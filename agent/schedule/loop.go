package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const (
	longestSleep = 30 * time.Second // the wall clock may be set at any time
	warmAhead    = 2 * time.Second  // before a function's slot
)

// loop compares the wall clock with the ledger until ctx ends.
func (m *Manager) loop(ctx context.Context) {
	m.takeUp(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		timer.Reset(m.pass(ctx))
	}
}

// pass decides what is due, begins it, and tells how long nothing will be.
func (m *Manager) pass(ctx context.Context) time.Duration {
	jobs, err := m.cfg.Store.CronJobs(ctx)
	if err != nil {
		m.cfg.Log.ErrorContext(ctx, "the cron jobs can't be read", "error", err)
		return time.Second
	}
	sleep := longestSleep
	for _, j := range jobs {
		if j.Paused {
			continue
		}
		t, err := Parse(j.Schedule, j.TimeZone)
		if err != nil {
			m.cfg.Log.ErrorContext(ctx, "a cron job's schedule can't be read any more", "job", j.Name, "error", err)
			continue
		}
		now := m.cfg.Now()
		if err := m.due(ctx, j, t, now); err != nil {
			m.cfg.Log.ErrorContext(ctx, "a cron job's slots could not be decided on", "job", j.Name, "error", err)
			sleep = time.Second
		}
		until := t.Next(now).Sub(now)
		if j.Target.Function != "" {
			if until <= warmAhead {
				m.cfg.Prewarm(ctx, j.Target.Function)
			} else {
				until -= warmAhead
			}
		}
		sleep = min(sleep, max(until, 10*time.Millisecond))
	}
	m.begin(ctx)
	return sleep
}

// due decides on the slots up to now: they are in the ledger before anything
// of them runs.
func (m *Manager) due(ctx context.Context, j store.CronJob, t *Timetable, now time.Time) error {
	cursor, runs := decide(j, t, now)
	if len(runs) == 0 && cursor.Equal(j.Cursor) {
		return nil
	}
	made, err := m.cfg.Store.DecideCron(ctx, j.Name, cursor, runs)
	if err != nil {
		return err
	}
	for _, r := range made {
		if r.Status.Done() {
			m.tell(ctx, j.CronJob, r)
		}
	}
	return nil
}

// takeUp goes through what an earlier agent left: a call of a function that
// was on its way is not made twice, so its outcome is not known.
func (m *Manager) takeUp(ctx context.Context) {
	m.sweep(ctx)
	runs, err := m.cfg.Store.UnfinishedCronRuns(ctx)
	if err != nil {
		m.cfg.Log.ErrorContext(ctx, "the interrupted runs can't be read", "error", err)
		return
	}
	for _, r := range runs {
		j, ok, err := m.cfg.Store.CronJob(ctx, r.Job)
		if err != nil || !ok || r.Status != agent.RunRunning || j.Target.Function == "" {
			continue
		}
		m.finish(ctx, j.CronJob, r, agent.RunFailed, Outcome{Message: "the agent was restarted while the function ran, so how it ended is not known"})
	}
}

// begin looks after each unfinished run that nobody looks after yet.
func (m *Manager) begin(ctx context.Context) {
	runs, err := m.cfg.Store.UnfinishedCronRuns(ctx)
	if err != nil {
		m.cfg.Log.ErrorContext(ctx, "the ledger can't be read", "error", err)
		return
	}
	going := map[string][]agent.CronRun{}
	for _, r := range runs {
		j, ok, err := m.cfg.Store.CronJob(ctx, r.Job)
		if err != nil || !ok {
			continue
		}
		before := going[r.Job]
		if len(before) > 0 && r.Status == agent.RunPending {
			switch j.Concurrency {
			case agent.ConcurrencyForbid:
				m.finish(ctx, j.CronJob, r, agent.RunCancelled, Outcome{Message: "the run before was still going"})
				continue
			case agent.ConcurrencyQueue:
				continue
			case agent.ConcurrencyReplace:
				for _, old := range before {
					m.cancel(old.ID, errReplaced)
				}
			}
		}
		going[r.Job] = append(going[r.Job], r)
		m.look(ctx, j.CronJob, r)
	}
}

var (
	errReplaced  = errors.New("a newer run took its place")
	errCancelled = errors.New("it was cancelled")
	errOverdue   = errors.New("out of time")
)

// cancel ends the context of a run that is looked after.
func (m *Manager) cancel(id int64, cause error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	end, ok := m.active[id]
	if ok {
		end(cause)
	}
	return ok
}

// look starts a goroutine for a run, unless it has one. The run may have ended
// since it was read: what was asked for once is not done twice.
func (m *Manager) look(ctx context.Context, j agent.CronJob, r agent.CronRun) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.active[r.ID]; ok {
		return
	}
	running, cancel := context.WithCancelCause(ctx)
	m.active[r.ID] = cancel
	m.crew.Go(func(context.Context) {
		defer m.nudge() // one that queues may begin
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.active, r.ID)
			cancel(nil)
		}()
		now, ok, err := m.cfg.Store.CronRun(running, r.ID)
		switch {
		case err != nil:
			m.cfg.Log.ErrorContext(running, "a run can't be read", "job", j.Name, "run", r.ID, "error", err)
		case ok && !now.Status.Done():
			m.run(running, j, now)
		}
	})
}

// run brings a run to its end, or leaves it when the agent stops.
func (m *Manager) run(ctx context.Context, j agent.CronJob, r agent.CronRun) {
	if r.Status == agent.RunPending {
		r.Status, r.StartedAt = agent.RunRunning, m.cfg.Now().UTC()
		if err := m.cfg.Store.PutCronRun(ctx, r); err != nil {
			m.cfg.Log.ErrorContext(ctx, "a run could not be begun", "job", j.Name, "run", r.ID, "error", err)
			return // it is pending still
		}
		m.cfg.Publish("cron-run", j.Name, r)
	}
	executor, err := m.executor(j.Target)
	if err != nil {
		m.finish(ctx, j, r, agent.RunFailed, Outcome{Message: err.Error()})
		return
	}
	limited, cancel := context.WithDeadlineCause(ctx, time.Now().Add(r.StartedAt.Add(j.Timeout).Sub(m.cfg.Now())), errOverdue)
	defer cancel()
	outcome, err := executor.Run(limited, j, r)
	ending := context.WithoutCancel(ctx)
	switch cause := context.Cause(limited); {
	case err == nil && !outcome.Failed:
		m.finish(ending, j, r, agent.RunSucceeded, outcome)
	case err == nil:
		m.finish(ending, j, r, agent.RunFailed, outcome)
	case errors.Is(cause, errReplaced), errors.Is(cause, errCancelled):
		m.endQuietly(ending, executor, j, r)
		outcome.Message = cause.Error()
		m.finish(ending, j, r, agent.RunCancelled, outcome)
	case errors.Is(cause, errOverdue):
		m.endQuietly(ending, executor, j, r)
		outcome.Message = fmt.Sprintf("it did not end within %s and was stopped", j.Timeout)
		m.finish(ending, j, r, agent.RunFailed, outcome)
	case ctx.Err() != nil: // the agent stops: it is found again
	default:
		m.finish(ending, j, r, agent.RunFailed, Outcome{Message: err.Error(), Output: outcome.Output})
	}
}

func (m *Manager) endQuietly(ctx context.Context, e Executor, j agent.CronJob, r agent.CronRun) {
	if err := e.End(ctx, j, r); err != nil {
		m.cfg.Log.WarnContext(ctx, "a run could not be stopped", "job", j.Name, "run", r.ID, "error", err)
	}
}

// finish writes how a run ended: its output first, so that a run that is
// done has it.
func (m *Manager) finish(ctx context.Context, j agent.CronJob, r agent.CronRun, status agent.RunStatus, o Outcome) {
	if err := m.keepOutput(r.ID, o.Output); err != nil {
		m.cfg.Log.WarnContext(ctx, "a run's output could not be kept", "job", j.Name, "run", r.ID, "error", err)
	}
	r.Status, r.Message, r.ExitCode, r.FinishedAt = status, o.Message, o.ExitCode, m.cfg.Now().UTC()
	if err := m.cfg.Store.PutCronRun(ctx, r); err != nil {
		m.cfg.Log.ErrorContext(ctx, "how a run ended could not be kept", "job", j.Name, "run", r.ID, "error", err)
		return
	}
	m.tell(ctx, j, r)
}

// tell tells people and other parts of a run's end.
func (m *Manager) tell(ctx context.Context, j agent.CronJob, r agent.CronRun) {
	m.cfg.Publish("cron-run", j.Name, r)
	m.cfg.Ended(ctx, j, r)
	if r.Status == agent.RunFailed {
		m.cfg.Record(ctx, agent.Activity{Level: "error", Subject: "cron/" + j.Name, Message: fmt.Sprintf("the run of %s for %s failed: %s", j.Name, r.Slot.Format(time.RFC3339), r.Message)})
	}
}
