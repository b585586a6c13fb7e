package backup

import (
	"context"
	"errors"
	"time"

	"hks.dev/hks/agent"
)

// tend looks every minute for what is due.
func (m *Manager) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if err := m.due(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "what is due for the appliance can't be done", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *Manager) due(ctx context.Context) error {
	s, err := m.State(ctx)
	if err != nil || s.Running != nil {
		return err
	}
	now := m.cfg.Now()
	job := agent.ApplianceJob{Trigger: agent.TriggerSchedule, By: tended}
	switch {
	case !s.Schedule.Next.IsZero() && !now.Before(s.Schedule.Next):
		job.Kind, job.Volumes = agent.ApplianceBackupJob, s.Schedule.Volumes
	case !s.Schedule.NextDrill.IsZero() && !now.Before(s.Schedule.NextDrill):
		job.Kind, job.Backup = agent.ApplianceDrillJob, s.Backups[0].ID
	default:
		return nil
	}
	_, err = m.submit(ctx, job)
	if agent.CodeOf(err) == agent.CodeConflict {
		return nil // someone else was first
	}
	return err
}

// schedule says what happens by itself, and when next. What the settings leave
// out is as the plan has it.
func (m *Manager) schedule(ctx context.Context, backups []agent.ApplianceBackup, jobs []agent.ApplianceJob) (agent.ApplianceSchedule, error) {
	settings := m.cfg.Settings.Backup
	s := agent.ApplianceSchedule{Source: "settings", Volumes: settings.Volumes}
	every, keep := settings.Every, settings.Keep
	if every == 0 || keep == 0 {
		plan, err := m.cfg.Plan(ctx)
		if err != nil {
			return s, err
		}
		if every == 0 && plan.BackupDays > 0 {
			s.Source, every = "plan", 24*time.Hour
		} else if every == 0 {
			s.Source = "plan"
		}
		if keep == 0 {
			keep = max(plan.BackupDays, 1)
		}
	}
	s.EveryMins, s.Keep, s.DrillMins = int(every.Minutes()), keep, int(settings.Drill.Minutes())
	s.Next, s.NextDrill = m.next(every, backups, jobs), m.nextDrill(settings.Drill, backups, jobs)
	return s, nil
}

func (m *Manager) next(every time.Duration, backups []agent.ApplianceBackup, jobs []agent.ApplianceJob) time.Time {
	if every <= 0 {
		return time.Time{}
	}
	next := m.begun.Add(firstAfter)
	for _, b := range backups {
		if b.Trigger == agent.TriggerSchedule {
			next = b.CreatedAt.Add(every)
			break // newest first
		}
	}
	return later(next, jobs, agent.ApplianceBackupJob).UTC()
}

func (m *Manager) nextDrill(every time.Duration, backups []agent.ApplianceBackup, jobs []agent.ApplianceJob) time.Time {
	if every <= 0 || len(backups) == 0 {
		return time.Time{}
	}
	last := backups[len(backups)-1].CreatedAt // the oldest: one is tried once it is so old
	for _, b := range backups {
		if b.Drill != nil && b.Drill.At.After(last) {
			last = b.Drill.At
		}
	}
	return later(last.Add(every), jobs, agent.ApplianceDrillJob).UTC()
}

// later puts off what has just failed by itself.
func later(next time.Time, jobs []agent.ApplianceJob, kind string) time.Time {
	for _, j := range jobs { // newest first
		if j.Kind != kind {
			continue
		}
		if again := j.FinishedAt.Add(retryAfter); j.Status == agent.RunFailed && again.After(next) {
			return again
		}
		break
	}
	return next
}

// prune lets go of scheduled archives over the number that is kept; the newest
// one that a drill found good stays in any case.
func (m *Manager) prune(ctx context.Context) error {
	s, err := m.State(ctx)
	if err != nil {
		return err
	}
	kept, proved := 0, false
	var failed []error
	for _, b := range s.Backups {
		good := b.Drill != nil && b.Drill.Good
		needed := good && !proved
		proved = proved || good
		if b.Trigger != agent.TriggerSchedule {
			continue
		}
		if kept++; kept <= s.Schedule.Keep || needed {
			continue
		}
		failed = append(failed, m.drop(ctx, b))
	}
	return errors.Join(failed...)
}
