package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Kinds of releases.
const (
	kindDeploy   = "deploy"
	kindConfig   = "config" // the image stays the very same
	kindRollback = "rollback"
)

// Deploy accepts a release: everything is checked first, and when it returns
// the release is on disk and will be rolled out, whatever dies next. What the
// owner leaves out is as in the newest release.
func (m *Manager) Deploy(ctx context.Context, app string, env agent.Environment, d agent.Deploy, by string) (agent.Release, error) {
	k, err := newKey(app, env)
	if err != nil {
		return agent.Release{}, err
	}
	state, exists, err := m.cfg.Store.App(ctx, k.app, k.env)
	if err != nil {
		return agent.Release{}, err
	}
	r := store.AppRelease{Release: agent.Release{Kind: kindDeploy, By: by}}
	var newest *agent.Spec
	if exists {
		before, _, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Newest.Number)
		if err != nil {
			return agent.Release{}, err
		}
		newest = &before.Spec
		if d.Image == "" && before.Digest != "" {
			r.Kind, r.Pull, r.Digest = kindConfig, pinned(before.Pull, before.Digest), before.Digest
		}
	}
	spec, err := complete(d.Spec, newest)
	if err != nil {
		return agent.Release{}, err
	}
	if err := validate(spec, m.cfg.Reserved); err != nil {
		return agent.Release{}, err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return agent.Release{}, err
	}
	replicas := max(state.Replicas, 1)
	if d.Replicas != nil {
		replicas = *d.Replicas
	}
	if err := validateReplicas(replicas, ws.Plan); err != nil {
		return agent.Release{}, err
	}
	if err := checkQuota(ws, spec, replicas); err != nil {
		return agent.Release{}, err
	}
	if err := m.checkRoute(ctx, k, spec); err != nil {
		return agent.Release{}, err
	}
	r.Spec = spec
	return m.accept(ctx, k, r, d.Replicas)
}

// Rollback accepts a release that is exactly an earlier one: its image by
// digest, its configuration, its environment. Number 0 means the last that
// succeeded before the one that serves.
func (m *Manager) Rollback(ctx context.Context, app string, env agent.Environment, number int, by string) (agent.Release, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.Release{}, err
	}
	if number == 0 {
		if number, err = m.before(ctx, k, state); err != nil {
			return agent.Release{}, err
		}
	}
	from, ok, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, number)
	if err != nil {
		return agent.Release{}, err
	}
	if err := rollbackable(k, state, number, from, ok); err != nil {
		return agent.Release{}, err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return agent.Release{}, err
	}
	if err := checkQuota(ws, from.Spec, state.Replicas); err != nil {
		return agent.Release{}, err
	}
	if err := m.checkRoute(ctx, k, from.Spec); err != nil {
		return agent.Release{}, err
	}
	return m.accept(ctx, k, store.AppRelease{
		Release: agent.Release{Spec: from.Spec, Digest: from.Digest, Kind: kindRollback, From: number, By: by},
		Pull:    pinned(from.Pull, from.Digest),
	}, nil)
}

// before finds the last release that succeeded before the one that serves.
func (m *Manager) before(ctx context.Context, k key, state store.AppState) (int, error) {
	releases, err := m.cfg.Store.Releases(ctx, k.app, k.env)
	if err != nil {
		return 0, err
	}
	for _, r := range releases {
		if r.Status == agent.ReleaseSucceeded && r.Number < state.Serving {
			return r.Number, nil
		}
	}
	return 0, agent.Errorf(agent.CodeConflict, k.command("app releases")+" lists what there is",
		"%s has no earlier release that succeeded", k.subject())
}

// rollbackable refuses what can't be brought back exactly.
func rollbackable(k key, state store.AppState, number int, from store.AppRelease, ok bool) error {
	list := k.command("app releases") + " lists what there is"
	switch {
	case !ok:
		return agent.Errorf(agent.CodeNotFound, list, "%s has no release %d; the last %d are kept", k.subject(), number, store.KeptReleases)
	case from.Status != agent.ReleaseSucceeded:
		return agent.Errorf(agent.CodeConflict, "name a release that succeeded; "+list, "release %d of %s never served: it is %s", number, k.subject(), from.Status)
	case from.Digest == "":
		return agent.Errorf(agent.CodeConflict, "deploy its image again",
			"the digest of release %d of %s is not known, so its image can't be brought back exactly", number, k.subject())
	case number == state.Serving && state.Newest.Number == number:
		return agent.Errorf(agent.CodeConflict, list, "release %d of %s serves already", number, k.subject())
	}
	return nil
}

// accept puts a release on disk and wakes the worker.
func (m *Manager) accept(ctx context.Context, k key, r store.AppRelease, replicas *int) (agent.Release, error) {
	r.App, r.Environment = k.app, k.env
	accepted, cancelled, err := m.cfg.Store.AddRelease(ctx, r, replicas)
	if err != nil {
		return agent.Release{}, m.explain(k, err)
	}
	words := fmt.Sprintf("release %d accepted: %s", accepted.Number, accepted.Spec.Image)
	if accepted.Kind == kindRollback {
		words = fmt.Sprintf("release %d accepted: back to release %d (%s)", accepted.Number, accepted.From, accepted.Spec.Image)
	}
	m.step(k, accepted.Number, "resolve", "accepted")
	m.cancelled(ctx, k, cancelled, "a newer release took its place")
	m.tell(ctx, k, "info", words, r.By)
	m.cfg.Publish("release", k.subject(), accepted.Release)
	m.cfg.HostsChanged()
	m.work(k)
	return accepted.Release, nil
}

// cancelled ends the progress of releases that the store cancelled.
func (m *Manager) cancelled(ctx context.Context, k key, numbers []int, why string) {
	for _, n := range numbers {
		r, ok, err := m.cfg.Store.Release(ctx, k.app, k.env, n)
		if err != nil || !ok {
			m.cfg.Log.Warn("a cancelled release can't be read", "app", k.subject(), "release", n, "err", err)
			continue
		}
		m.end(k, r.Release, "failed", fmt.Sprintf("release %d was cancelled: %s", n, why))
	}
}

// checkRoute refuses a host and path that another app has already.
func (m *Manager) checkRoute(ctx context.Context, k key, spec agent.Spec) error {
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return err
	}
	host := m.host(k, spec)
	for _, s := range states {
		other := key{s.Name, s.Environment}
		if other == k {
			continue
		}
		for _, r := range live(s) {
			if m.host(other, r.Spec) == host && slash(r.Spec.Path) == slash(spec.Path) {
				return &agent.Error{
					Code:    agent.CodeConflict,
					Message: fmt.Sprintf("%s%s already leads to %s", host, slash(spec.Path), other.subject()),
					Fix:     "give another host or path with --host or --path",
					Details: map[string]any{"host": host, "path": spec.Path, "app": other.subject()},
				}
			}
		}
	}
	return nil
}

// live are the releases whose routes are there or on their way.
func live(s store.AppState) []store.AppRelease {
	switch {
	case s.Serving == 0 || s.Newest.Number == s.Serving:
		return []store.AppRelease{s.Newest}
	case s.Newest.Status.Done():
		return []store.AppRelease{s.Current}
	}
	return []store.AppRelease{s.Current, s.Newest}
}

// slash makes paths comparable: "/", "/api".
func slash(path string) string {
	return "/" + strings.Trim(path, "/")
}

// pinned is an image reference by digest.
func pinned(ref, digest string) string {
	if digest == "" || strings.Contains(ref, "@") {
		return ref
	}
	parsed, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return ref
	}
	return parsed.Context().Name() + "@" + digest
}

// existing finds an app.
func (m *Manager) existing(ctx context.Context, app string, env agent.Environment) (key, store.AppState, error) {
	k, err := newKey(app, env)
	if err != nil {
		return key{}, store.AppState{}, err
	}
	state, ok, err := m.cfg.Store.App(ctx, k.app, k.env)
	if err != nil {
		return key{}, store.AppState{}, err
	}
	if !ok {
		return key{}, store.AppState{}, absent(k)
	}
	return k, state, nil
}

func absent(k key) error {
	return agent.Errorf(agent.CodeNotFound, "hks app list shows what there is", "there is no app %s in %s", k.app, k.env)
}

func newKey(app string, env agent.Environment) (key, error) {
	if err := agent.ValidateName("app", app); err != nil {
		return key{}, err
	}
	env, err := agent.ParseEnvironment(string(env))
	return key{app, env}, err
}

// explain turns the store's refusal into one for people.
func (m *Manager) explain(k key, err error) error {
	if errors.Is(err, store.ErrNoApp) {
		return agent.Errorf(agent.CodeConflict, "wait until it is gone: "+k.command("app show"), "%s is being deleted", k.subject())
	}
	return err
}

// tell keeps a line of what happened.
func (m *Manager) tell(ctx context.Context, k key, level, message, by string) {
	m.cfg.Activity(ctx, agent.Activity{Level: level, Subject: k.subject(), Message: message, By: by})
}

// step adds to the progress of a release.
func (m *Manager) step(k key, number int, step, message string) {
	m.timelines.of(k, number).add(agent.Progress{Time: m.cfg.Now(), Step: step, Message: message})
}

// end adds the last step to the progress of a finished release.
func (m *Manager) end(k key, r agent.Release, step, message string) {
	m.timelines.of(k, r.Number).add(agent.Progress{Time: m.cfg.Now(), Step: step, Message: message, Release: &r, Done: true})
	m.cfg.Publish("release", k.subject(), r)
}
