package market

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// lookLimit is how long a look at the cluster may take before what is known
// without it is shown.
const lookLimit = 3 * time.Second

// List returns all services, with what was observed of them.
func (m *Manager) List(ctx context.Context) ([]agent.Service, error) {
	kept, err := m.cfg.Store.Services(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]agent.Service, 0, len(kept))
	for _, s := range kept {
		view, err := m.view(ctx, s)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// Get returns one service, with what was observed of it.
func (m *Manager) Get(ctx context.Context, name string) (agent.Service, error) {
	s, err := m.service(ctx, name)
	if err != nil {
		return agent.Service{}, err
	}
	return m.view(ctx, s)
}

func (m *Manager) view(ctx context.Context, s store.Service) (agent.Service, error) {
	view := agent.Service{
		Name: s.Name, Chart: s.Chart, Title: s.Chart, Version: s.Version, Engine: s.Engine, Status: s.Status,
		Host: s.Name, User: s.User, Values: s.Values, StorageBytes: s.Storage, CreatedAt: s.CreatedAt, KeptUntil: s.KeptUntil,
	}
	if chart, err := m.catalogue.of(s); err == nil {
		view.AppVersion, view.Port = chart.AppVersion(), portOf(chart)
		if title := chart.Annotation(noteTitle); title != "" {
			view.Title = title
		}
		if newest, _, err := m.catalogue.find(s.Chart); err == nil && newest.Version() != s.Version && sameMajor(newest, s, m.catalogue) {
			view.Latest = newest.Version()
		}
	}
	var err error
	if view.Bindings, err = m.liveBindings(ctx, s.Name); err != nil {
		return agent.Service{}, err
	}
	job, ok, err := m.cfg.Store.LastServiceJob(ctx, s.Name)
	if err != nil {
		return agent.Service{}, err
	}
	if ok {
		view.Job = &job
	}
	backups, err := m.cfg.Store.Backups(ctx, s.Name)
	if err != nil {
		return agent.Service{}, err
	}
	if len(backups) > 0 {
		view.LastBackup = &backups[0]
	}
	for _, b := range backups {
		if b.Verified != nil && (view.Verified == nil || b.Verified.At.After(view.Verified.At)) {
			view.Verified = b.Verified
		}
	}
	m.observe(ctx, s, backups, &view)
	return view, nil
}

// observe adds what the cluster says.
func (m *Manager) observe(ctx context.Context, s store.Service, backups []agent.Backup, view *agent.Service) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if s.Status == agent.ServiceError && view.Job != nil && view.Job.Failure != nil {
		view.Reason, view.Fix = view.Job.Failure.Message, "try again: hks market upgrade "+s.Name+", or remove it: hks market uninstall "+s.Name
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return
	}
	if next := nextBackup(s, backups, ws.Plan); !next.IsZero() && s.Status != agent.ServiceRemoved {
		view.Schedule = &agent.BackupSchedule{EveryHours: int(backupEvery.Hours()), Keep: ws.Plan.BackupDays, Next: next}
	}
	if s.Status == agent.ServiceRemoved {
		return
	}
	pods, err := m.pods(ctx, ws.Name, selectorOf(s.Name))
	if err != nil {
		return
	}
	ready := 0
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.DeletionTimestamp != nil {
			continue
		}
		view.Instance = pod.Name
		if podReady(pod) {
			ready++
			continue
		}
		view.Reason = reasonOf(pod)
		if s.Status == agent.ServiceRunning {
			view.Status = agent.ServiceError
		}
	}
	if s.Status == agent.ServiceRunning && s.Engine != "" && len(pods) == 0 {
		view.Status, view.Reason = agent.ServiceError, "its instance is not there"
	}
}
