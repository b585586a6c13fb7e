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

// Scale changes how many instances of a component there are to be, a fixed
// number or as its load needs; the only component needs no name. It stays
// through later releases.
func (m *Manager) Scale(ctx context.Context, app string, env agent.Environment, component string, to agent.Scale, by string) (agent.App, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return agent.App{}, err
	}
	spec := state.Newest.Spec
	if component == "" && len(spec.Components) == 1 {
		component = spec.Components[0].Name
	}
	if _, ok := spec.Component(component); !ok {
		return agent.App{}, noComponent(k, spec, component)
	}
	scale := scaleOf(state, spec)
	scale[component] = to
	if err := validateReplicas(scale, ws.Plan); err != nil {
		return agent.App{}, err
	}
	if err := oneInstance(spec, scale); err != nil {
		return agent.App{}, err
	}
	if err := checkQuota(ws, spec, scale); err != nil {
		return agent.App{}, err
	}
	what := "scaled to " + to.String()
	if len(spec.Components) > 1 {
		what = component + " " + what
	}
	return m.changed(ctx, k, what, by, m.cfg.Store.ScaleApp(ctx, k.app, k.env, map[string]agent.Scale{component: to}))
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
