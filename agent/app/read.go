package app

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// List returns all apps, without instances, from what is known already: one
// query and the informers' caches.
func (m *Manager) List(ctx context.Context) ([]agent.App, error) {
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return nil, err
	}
	w := m.current()
	apps := make([]agent.App, 0, len(states))
	for _, s := range states {
		apps = append(apps, m.appOf(s, w))
	}
	return apps, nil
}

// Get returns one app with its instances.
func (m *Manager) Get(ctx context.Context, app string, env agent.Environment) (agent.App, error) {
	_, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.App{}, err
	}
	w := m.current()
	a := m.appOf(state, w)
	a.Instances = m.instancesOf(state, w)
	return a, nil
}

// Releases returns an app's releases, newest first.
func (m *Manager) Releases(ctx context.Context, app string, env agent.Environment) ([]agent.Release, error) {
	k, _, err := m.existing(ctx, app, env)
	if err != nil {
		return nil, err
	}
	rows, err := m.cfg.Store.Releases(ctx, k.app, k.env)
	if err != nil {
		return nil, err
	}
	releases := make([]agent.Release, len(rows))
	for i, r := range rows {
		releases[i] = r.Release
	}
	return releases, nil
}

// Release returns one release.
func (m *Manager) Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error) {
	k, _, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.Release{}, err
	}
	r, ok, err := m.cfg.Store.Release(ctx, k.app, k.env, number)
	if err != nil {
		return agent.Release{}, err
	}
	if !ok {
		return agent.Release{}, agent.Errorf(agent.CodeNotFound, k.command("app releases")+" lists what there is",
			"%s has no release %d", k.subject(), number)
	}
	return r.Release, nil
}

// Progress yields what was seen of a release so far, then what comes, and
// ends after the step that is Done, or with ctx.
func (m *Manager) Progress(ctx context.Context, app string, env agent.Environment, number int) iter.Seq2[agent.Progress, error] {
	return func(yield func(agent.Progress, error) bool) {
		r, err := m.Release(ctx, app, env, number)
		if err != nil {
			yield(agent.Progress{}, err)
			return
		}
		k := key{r.App, r.Environment}
		if r.Status.Done() && m.timelines.known(k, number) == nil {
			yield(lastStep(r), nil)
			return
		}
		m.timelines.of(k, number).follow(ctx)(yield)
	}
}

// lastStep is the end of a release of which no more is remembered.
func lastStep(r agent.Release) agent.Progress {
	p := agent.Progress{Time: r.FinishedAt, Step: "failed", Message: fmt.Sprintf("release %d was cancelled", r.Number), Release: &r, Done: true}
	switch {
	case r.Status == agent.ReleaseSucceeded:
		p.Step, p.Message = "done", fmt.Sprintf("release %d serves", r.Number)
	case r.Failure != nil:
		p.Message = r.Failure.Message
	}
	return p
}

// Hosts returns the host names of all apps, sorted.
func (m *Manager) Hosts(ctx context.Context) ([]string, error) {
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, s := range states {
		if s.Desired == store.DesiredDeleted {
			continue
		}
		for _, r := range live(s) {
			for at := range m.routes(key{s.Name, s.Environment}, r.Spec) {
				hosts = append(hosts, at.host)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// Occupied tells whether any app is there, one being deleted included: the
// workspace can't be renamed then.
func (m *Manager) Occupied(ctx context.Context) (bool, error) {
	return m.cfg.Store.HasApps(ctx)
}
