package market

import (
	"context"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const (
	tendEvery   = time.Minute
	backupEvery = 24 * time.Hour
	verifyEvery = 7 * 24 * time.Hour
	tended      = "hks" // who asks for what is due by itself
)

// tend looks every minute for what is due: backups by the plan, trials of
// backups, volumes whose grace time is over.
func (m *Manager) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if err := m.due(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("what is due in the marketplace can't be done", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *Manager) due(ctx context.Context) error {
	services, err := m.cfg.Store.Services(ctx)
	if err != nil || len(services) == 0 {
		return err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return err
	}
	for _, s := range services {
		kind, args, backup, err := m.dueOf(ctx, s, ws.Plan)
		if err != nil {
			return err
		}
		if kind == "" {
			continue
		}
		job := agent.ServiceJob{Service: s.Name, Kind: kind, By: tended, Backup: backup}
		status := agent.ServiceStatus("")
		if kind == kindUninstall {
			status = agent.ServiceDeleting
		}
		if _, err := m.submit(ctx, job, args, status); err != nil && agent.CodeOf(err) != agent.CodeConflict { // else it is at work
			return err
		}
	}
	return nil
}

// dueOf tells what is due of a service now.
func (m *Manager) dueOf(ctx context.Context, s store.Service, plan agent.Plan) (kind string, args any, backup int64, err error) {
	now := m.cfg.Now()
	if s.Status == agent.ServiceRemoved {
		if now.After(s.KeptUntil) {
			return kindUninstall, uninstallArgs{Purge: true}, 0, nil
		}
		return "", nil, 0, nil
	}
	if s.Status != agent.ServiceRunning || s.Engine == "" {
		return "", nil, 0, nil
	}
	backups, err := m.cfg.Store.Backups(ctx, s.Name)
	if err != nil {
		return "", nil, 0, err
	}
	if next := nextBackup(s, backups, plan); !next.IsZero() && !now.Before(next) {
		last, ok, err := m.cfg.Store.LastServiceJob(ctx, s.Name)
		if err != nil || ok && last.Kind == kindBackup && last.Status == agent.RunFailed && now.Sub(last.FinishedAt) < time.Hour {
			return "", nil, 0, err // it failed, and is tried hourly
		}
		return kindBackup, backupArgs{Trigger: triggerPlan}, 0, nil
	}
	if plan.BackupDays > 0 && len(backups) > 0 && backups[0].Verified == nil && now.Sub(lastVerified(backups)) > verifyEvery {
		return kindVerify, struct{}{}, backups[0].ID, nil
	}
	return "", nil, 0, nil
}

// nextBackup is when the plan makes the next backup; zero when it makes none.
func nextBackup(s store.Service, backups []agent.Backup, plan agent.Plan) time.Time {
	if plan.BackupDays == 0 || s.Engine == "" {
		return time.Time{}
	}
	last := s.CreatedAt.Add(time.Hour - backupEvery) // the first one after an hour
	for _, b := range backups {
		if b.Trigger == triggerPlan && b.CreatedAt.After(last) {
			last = b.CreatedAt
		}
	}
	return last.Add(backupEvery)
}

func lastVerified(backups []agent.Backup) (at time.Time) {
	for _, b := range backups {
		if b.Verified != nil && b.Verified.At.After(at) {
			at = b.Verified.At
		}
	}
	return at
}

// pruneBackups lets go of scheduled backups over the plan's number; the newest
// one that was verified stays in any case.
func (w *worker) pruneBackups(ctx context.Context, name string) error {
	ws, err := w.workspace(ctx)
	if err != nil || ws.Plan.BackupDays <= 0 {
		return err
	}
	backups, err := w.cfg.Store.Backups(ctx, name)
	if err != nil {
		return err
	}
	kept, proved := 0, false
	for _, b := range backups { // newest first
		good := b.Verified != nil && b.Verified.Good
		needed := good && !proved
		proved = proved || good
		if b.Trigger != triggerPlan {
			continue
		}
		if kept++; kept <= ws.Plan.BackupDays || needed {
			continue
		}
		if err := w.dropBackup(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
