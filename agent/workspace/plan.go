package workspace

import (
	"context"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Plan returns the name of the plan in force and of the one whose limits the
// cluster was seen to hold. While they differ, reason says what is waited for.
// Before there is a workspace both are the first plan.
func (m *Manager) Plan(ctx context.Context) (plan, applied, reason string, err error) {
	row, ok, err := m.cfg.Store.Workspace(ctx)
	if err != nil {
		return "", "", "", err
	}
	if !ok {
		return m.cfg.Plan, m.cfg.Plan, "", nil
	}
	if row.Status != agent.WorkspaceReady {
		reason = "the workspace is " + string(row.Status)
	} else if row.Plan != row.Applied {
		reason = row.Reason
	}
	return row.Plan, row.Applied, reason, nil
}

// SetPlan puts another plan in force. When it returns the plan is on disk; its
// limits follow in the cluster, also after a restart.
func (m *Manager) SetPlan(ctx context.Context, plan, by string) error {
	if _, err := m.cfg.Plans.Lookup(plan); err != nil {
		return err
	}
	_, err := m.change(ctx, func(w *store.Workspace) { w.Plan, w.By = plan, by }) // wakes the worker
	return err
}

// Refit has the limits put right soon: a node came or went.
func (m *Manager) Refit() {
	m.mu.Lock()
	m.refit = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // it is awake
	}
}

// takeRefit tells once whether that was asked for.
func (m *Manager) takeRefit() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := m.refit
	m.refit = false
	return asked
}

// applied notes that the cluster holds the limits of a plan.
func (m *Manager) applied(ctx context.Context, plan string) error {
	_, err := m.change(ctx, func(w *store.Workspace) {
		if w.Plan == plan {
			w.Applied, w.Reason = plan, ""
		}
	})
	return err
}
