package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// ingressRoute is one path of the app's Ingress.
type ingressRoute struct {
	at        route
	path      string // as it was written
	component string
}

// routes are all that lead to the app: those of its release and those
// of its domains. A domain has the routes of the app's main host, and one that
// was given to a component leads to that alone.
func (d desired) routes() []ingressRoute {
	var routes []ingressRoute
	add := func(host, path, component string) {
		at := route{host, slash(path)}
		if !slices.ContainsFunc(routes, func(r ingressRoute) bool { return r.at == at }) {
			routes = append(routes, ingressRoute{at, path, component})
		}
	}
	for _, c := range d.release.Spec.Components {
		if c.Path != "" {
			add(d.host(c), c.Path, c.Name)
		}
	}
	main := d.host(d.release.Spec.Main())
	for _, domain := range d.domains {
		for _, c := range d.release.Spec.Components {
			switch {
			case domain.Component == c.Name && c.Port != 0:
				add(domain.Host, "/", c.Name)
			case domain.Component == "" && c.Path != "" && d.host(c) == main:
				add(domain.Host, c.Path, c.Name)
			}
		}
	}
	return routes
}

// Claim refuses a host that can't become a domain of the app: one of the
// appliance's own, or of another app. The component, if any, must be reachable.
func (m *Manager) Claim(ctx context.Context, app string, env agent.Environment, component, host string) error {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return err
	}
	if err := validateHost(strings.TrimPrefix(host, "*."), m.cfg.Reserved); err != nil {
		return err
	}
	if slices.Contains(m.cfg.Reserved, host) || host == "*."+m.cfg.Domain {
		return agent.Errorf(agent.CodeInvalid, "choose a host of your own", "the host %s is the appliance's own", host)
	}
	if component != "" {
		c, ok := state.Newest.Spec.Component(component)
		if !ok {
			return noComponent(k, state.Newest.Spec, component)
		}
		if c.Port == 0 {
			return refuse("component", component, fmt.Sprintf("nothing can reach %s: it listens on no port", component), "name a component that has a port")
		}
	} else if main := state.Newest.Spec.Main(); main.Path == "" && main.Port == 0 {
		return refuse("app", app, k.subject()+" is not reached from outside", "deploy it with a port first")
	}
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return err
	}
	for _, s := range states {
		other := key{s.Name, s.Environment}
		if other == k {
			continue
		}
		for _, r := range live(s) {
			for at := range m.routes(other, r.Spec) {
				if at.host == host {
					return hostTaken(host, other)
				}
			}
		}
	}
	return nil
}

func hostTaken(host string, by key) error {
	return &agent.Error{
		Code: agent.CodeConflict, Message: fmt.Sprintf("%s already leads to %s", host, by.subject()),
		Fix: "choose another host, or take it from that app first", Details: map[string]any{"host": host, "app": by.subject()},
	}
}

// Reroute has the app's routes told to the cluster again, after its domains
// changed.
func (m *Manager) Reroute(app string, env agent.Environment) {
	m.work(key{app, env})
}

// SetMaintenance turns the app's maintenance page on or off. The app goes on
// running behind it.
func (m *Manager) SetMaintenance(ctx context.Context, app string, env agent.Environment, on bool, message, by string) (agent.App, error) {
	k, _, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	const longest = 500 // bytes
	if len(message) > longest || strings.ContainsFunc(message, func(r rune) bool { return r < ' ' }) {
		return agent.App{}, refuse("message", message, "the message is too long, or has more than one line", fmt.Sprintf("keep to one line of %d characters", longest))
	}
	what := "the maintenance page is off"
	if on {
		what = "the maintenance page is on"
	}
	page := agent.Maintenance{On: on, Message: message, Since: m.cfg.Now().UTC(), By: by}
	return m.changed(ctx, k, what, by, m.cfg.Store.SetMaintenance(ctx, k.app, k.env, page))
}

// reroute tells the cluster the app's routes where domains or the maintenance
// page changed since it was last told. While a release is on its way the routes
// are those of the one that serves, until they were switched.
func (w *worker) reroute(ctx context.Context, state store.AppState, at place) error {
	if state.Routing == state.Routed {
		return nil
	}
	number := state.Serving
	if number == 0 || (w.rollout != nil && w.rollout.routed) {
		number = state.Newest.Number
	}
	release, found, err := w.m.cfg.Store.OpenRelease(ctx, w.key.app, w.key.env, number)
	if err != nil || !found {
		return err
	}
	d, err := w.desired(ctx, release, goal{}, state, at)
	if err != nil {
		return err
	}
	if err := w.apply(ctx, d, onlyRoute); err != nil {
		return err
	}
	return w.m.cfg.Store.Routed(ctx, w.key.app, w.key.env, state.Routing)
}
