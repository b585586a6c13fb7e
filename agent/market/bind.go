package market

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"hks.dev/hks/agent"
)

// Bind puts a service's credentials into the environment of an app, by a
// release, and remembers it.
func (m *Manager) Bind(ctx context.Context, name string, asked agent.Bind, by string) (agent.Binding, error) {
	s, err := m.installed(ctx, name)
	if err != nil {
		return agent.Binding{}, err
	}
	if err := agent.ValidateName("app", asked.App); err != nil {
		return agent.Binding{}, err
	}
	if asked.Environment, err = agent.ParseBound(string(asked.Environment)); err != nil {
		return agent.Binding{}, err
	}
	if asked.Prefix != "" {
		if err := agent.ValidateEnvName(asked.Prefix); err != nil {
			return agent.Binding{}, err
		}
	}
	if s.Status == agent.ServiceInstalling || s.Status == agent.ServiceDeleting {
		return agent.Binding{}, agent.Errorf(agent.CodeConflict, "wait for it to be ready: hks market show "+name, "%s is %s", name, s.Status)
	}
	chart, err := m.catalogue.of(s)
	if err != nil {
		return agent.Binding{}, err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return agent.Binding{}, err
	}
	held, err := m.held(ctx, namespace, s)
	if err != nil {
		return agent.Binding{}, err
	}
	m.accepting.Lock()
	defer m.accepting.Unlock()
	bindings, err := m.cfg.Store.Bindings(ctx, "")
	if err != nil {
		return agent.Binding{}, err
	}
	b := agent.Binding{Service: name, App: asked.App, Environment: asked.Environment, Prefix: asked.Prefix}
	env := environment(chart, name, held[keyUser], held[keyPassword], asked.Prefix)
	if len(env) == 0 {
		return agent.Binding{}, agent.Errorf(agent.CodeConflict, "set what the app needs: hks env set "+asked.App+" KEY=VALUE", "the chart %s does not say what apps are to be given", s.Chart)
	}
	b.Names = slices.Sorted(maps.Keys(env))
	if err := m.free(ctx, bindings, b); err != nil {
		return agent.Binding{}, err
	}
	release, err := m.cfg.Apps.SetEnv(ctx, b.App, b.Environment, env, nil, by)
	if err != nil {
		return agent.Binding{}, err
	}
	b.Release = release.Number
	if err := m.cfg.Store.PutBinding(ctx, b); err != nil {
		return agent.Binding{}, err
	}
	m.tell(ctx, name, "info", fmt.Sprintf("bound to %s/%s by release %d", b.App, b.Environment, b.Release), by)
	m.publish(ctx, name)
	return b, nil
}

// free refuses names that the app has from elsewhere.
func (m *Manager) free(ctx context.Context, bindings []agent.Binding, b agent.Binding) error {
	own := map[string]bool{}
	for _, other := range bindings {
		if other.App != b.App || other.Environment != b.Environment {
			continue
		}
		if other.Service == b.Service {
			if other.Prefix != b.Prefix {
				return agent.Errorf(agent.CodeConflict, fmt.Sprintf("take it out first: hks unbind %s/%s %s", b.App, b.Environment, b.Service), "%s/%s is bound to %s already", b.App, b.Environment, b.Service)
			}
			for _, name := range other.Names {
				own[name] = true
			}
		}
	}
	names, err := m.cfg.Apps.EnvNames(ctx, b.App, b.Environment)
	if err != nil {
		return err
	}
	for _, name := range b.Names {
		if slices.Contains(names, name) && !own[name] {
			return &agent.Error{
				Code:    agent.CodeConflict,
				Message: fmt.Sprintf("%s/%s has a variable %s already", b.App, b.Environment, name),
				Fix:     fmt.Sprintf("give the new ones a prefix (--as NAME), or take it away: hks env unset %s/%s %s", b.App, b.Environment, name),
				Details: map[string]any{"variable": name},
			}
		}
	}
	return nil
}

// Unbind takes a service's credentials out of an app, by a release.
func (m *Manager) Unbind(ctx context.Context, name, app string, env agent.Environment, by string) (agent.Binding, error) {
	if _, err := m.service(ctx, name); err != nil {
		return agent.Binding{}, err
	}
	env, err := agent.ParseBound(string(env))
	if err != nil {
		return agent.Binding{}, err
	}
	bindings, err := m.cfg.Store.Bindings(ctx, name)
	if err != nil {
		return agent.Binding{}, err
	}
	at := slices.IndexFunc(bindings, func(b agent.Binding) bool { return b.App == app && b.Environment == env })
	if at < 0 {
		return agent.Binding{}, agent.Errorf(agent.CodeNotFound, "hks market show "+name+" lists what is bound", "%s/%s is not bound to %s", app, env, name)
	}
	b := bindings[at]
	switch release, err := m.cfg.Apps.SetEnv(ctx, app, env, nil, b.Names, by); {
	case agent.CodeOf(err) == agent.CodeNotFound: // the app is gone, and its variables with it
	case err != nil:
		return agent.Binding{}, err
	default:
		b.Release = release.Number
	}
	if err := m.cfg.Store.RemoveBinding(ctx, name, app, env); err != nil {
		return agent.Binding{}, err
	}
	m.tell(ctx, name, "info", fmt.Sprintf("no longer bound to %s/%s", app, env), by)
	m.publish(ctx, name)
	return b, nil
}
