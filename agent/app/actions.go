package app

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// RestartApp replaces the instances one after the other, without a new
// release and without a gap.
func (m *Manager) RestartApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	if state.Desired == store.DesiredStopped {
		return agent.App{}, agent.Errorf(agent.CodeConflict, k.command("app start")+" starts it", "%s is stopped", k.subject())
	}
	if err := neverServed(k, state); err != nil {
		return agent.App{}, err
	}
	return m.changed(ctx, k, "restarted", by, m.cfg.Store.RestartApp(ctx, k.app, k.env))
}

// Scale changes the number of instances; it stays through later releases.
func (m *Manager) Scale(ctx context.Context, app string, env agent.Environment, replicas int, by string) (agent.App, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return agent.App{}, err
	}
	if err := validateReplicas(replicas, ws.Plan); err != nil {
		return agent.App{}, err
	}
	if err := checkQuota(ws, state.Newest.Spec, replicas); err != nil {
		return agent.App{}, err
	}
	return m.changed(ctx, k, "scaled to "+instances(replicas), by, m.cfg.Store.ScaleApp(ctx, k.app, k.env, replicas))
}

// StopApp takes all instances away and keeps the rest; a release on its way
// is cancelled.
func (m *Manager) StopApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error) {
	k, _, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	cancelled, err := m.cfg.Store.StopApp(ctx, k.app, k.env)
	if err == nil {
		m.cancelled(ctx, k, cancelled, "the app was stopped")
	}
	return m.changed(ctx, k, "stopped", by, err)
}

// StartApp brings a stopped app back with the release that served.
func (m *Manager) StartApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	if err := neverServed(k, state); err != nil {
		return agent.App{}, err
	}
	return m.changed(ctx, k, "started", by, m.cfg.Store.StartApp(ctx, k.app, k.env))
}

// neverServed refuses what needs a release that works, or one on its way.
func neverServed(k key, state store.AppState) error {
	if state.Serving > 0 || !state.Newest.Status.Done() {
		return nil
	}
	return agent.Errorf(agent.CodeConflict, "deploy again", "%s has no release that ever served: release %d is %s", k.subject(), state.Newest.Number, state.Newest.Status)
}

// changed wakes the worker after a change of the app's row and shows the app.
func (m *Manager) changed(ctx context.Context, k key, what, by string, err error) (agent.App, error) {
	if err != nil {
		return agent.App{}, m.explain(k, err)
	}
	m.tell(ctx, k, "info", what, by)
	m.work(k)
	a, err := m.Get(ctx, k.app, k.env)
	if err != nil {
		return agent.App{}, fmt.Errorf("reading %s: %w", k.subject(), err)
	}
	return a, nil
}
