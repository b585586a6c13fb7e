package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Kinds of releases.
const (
	kindDeploy   = "deploy"
	kindConfig   = "config" // the images stay the very same
	kindRollback = "rollback"
	kindPromote  = "promote"
)

// Deploy accepts a release: everything is checked first, and when it returns
// the release is on disk and will be rolled out, whatever dies next. What the
// owner leaves out is as in the newest release.
func (m *Manager) Deploy(ctx context.Context, app string, env agent.Environment, d agent.Deploy, by string) (agent.Release, error) {
	k, state, r, err := m.asked(ctx, app, env, d, by)
	if err != nil {
		return agent.Release{}, err
	}
	return m.request(ctx, k, state, r, d.Replicas)
}

// Check refuses what Deploy would refuse now, and does nothing else.
func (m *Manager) Check(ctx context.Context, app string, env agent.Environment, d agent.Deploy) error {
	k, state, r, err := m.asked(ctx, app, env, d, "")
	if err != nil {
		return err
	}
	return m.check(ctx, k, state, r, d.Replicas)
}

// asked is the release that a deploy asks for.
func (m *Manager) asked(ctx context.Context, app string, env agent.Environment, d agent.Deploy, by string) (key, store.AppState, store.AppRelease, error) {
	fail := func(err error) (key, store.AppState, store.AppRelease, error) {
		return key{}, store.AppState{}, store.AppRelease{}, err
	}
	k, err := newKey(app, env)
	if err != nil {
		return fail(err)
	}
	state, exists, err := m.cfg.Store.App(ctx, k.app, k.env)
	if err != nil {
		return fail(err)
	}
	var newest store.AppRelease
	if exists {
		if newest, _, err = m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Newest.Number); err != nil {
			return fail(err)
		}
	}
	spec, kept, err := complete(d, newest.Spec)
	if err != nil {
		return fail(err)
	}
	r := store.AppRelease{Release: agent.Release{Kind: kindDeploy, By: by, Spec: spec}, Images: map[string]store.Image{}, Build: d.Build}
	for _, name := range kept {
		if image := newest.Images[name]; image.Digest != "" {
			r.Images[name] = store.Image{Pull: pinned(image.Pull, image.Digest), Digest: image.Digest}
		}
	}
	if len(r.Images) == len(spec.Components) {
		r.Kind = kindConfig
	}
	return k, state, r, nil
}

// request accepts a release, unless something refuses it.
func (m *Manager) request(ctx context.Context, k key, state store.AppState, r store.AppRelease, replicas map[string]agent.Scale) (agent.Release, error) {
	if err := m.check(ctx, k, state, r, replicas); err != nil {
		return agent.Release{}, err
	}
	return m.accept(ctx, k, r, replicas)
}

// check holds a release against everything that can refuse it.
func (m *Manager) check(ctx context.Context, k key, state store.AppState, r store.AppRelease, replicas map[string]agent.Scale) error {
	if err := validate(k, r.Spec, m.cfg.Reserved); err != nil {
		return err
	}
	ws, err := m.workspace(ctx)
	if err != nil {
		return err
	}
	scale := scaleOf(state, r.Spec)
	for name, n := range replicas {
		if _, ok := scale[name]; !ok {
			return noComponent(k, r.Spec, name)
		}
		scale[name] = n
	}
	if err := validateReplicas(scale, ws.Plan); err != nil {
		return err
	}
	if err := oneInstance(r.Spec, scale); err != nil {
		return err
	}
	if err := checkQuota(ws, r.Spec, scale); err != nil {
		return err
	}
	if err := m.checkVolumes(ctx, k, ws, state.Newest.Spec, r.Spec, r.Kind); err != nil {
		return err
	}
	if err := m.checkPlace(ctx, r.Spec.Place); err != nil {
		return err
	}
	return m.checkRoutes(ctx, k, r.Spec)
}

func noComponent(k key, spec agent.Spec, name string) error {
	var names []string
	for _, c := range spec.Components {
		names = append(names, c.Name)
	}
	return &agent.Error{
		Code:    agent.CodeInvalid,
		Message: fmt.Sprintf("%s has no component %q", k.subject(), name),
		Fix:     "name one of " + strings.Join(names, ", ") + " with --component",
		Details: map[string]any{"field": "component", "value": name},
	}
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
	return m.request(ctx, k, state, store.AppRelease{
		Release: agent.Release{Spec: from.Spec, Kind: kindRollback, From: number, By: by},
		Images:  byDigest(from),
	}, nil)
}

// Promote accepts a release of the same app in another environment that runs
// exactly what serves in the first: the same images by digest, nothing is
// built again. What belongs to an environment stays its own: hosts, values of
// the environment, and how many instances there are.
func (m *Manager) Promote(ctx context.Context, app string, from, to agent.Environment, by string) (agent.Release, error) {
	k, state, err := m.existing(ctx, app, from)
	if err != nil {
		return agent.Release{}, err
	}
	target, err := newKey(app, to)
	if err != nil {
		return agent.Release{}, err
	}
	switch {
	case target == k:
		return agent.Release{}, refuse("to", to, "an app can't be promoted to where it is", "name two environments: --from staging --to production")
	case state.Serving == 0 && !state.Newest.Status.Done():
		return agent.Release{}, agent.Errorf(agent.CodeConflict, "wait until it serves: "+k.command("app show"), "release %d of %s is still on its way, so there is nothing to promote", state.Newest.Number, k.subject())
	case state.Serving == 0:
		return agent.Release{}, neverServed(k, state)
	}
	source, ok, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, state.Serving)
	if err != nil || !ok {
		return agent.Release{}, errors.Join(err, absentUnless(ok, k))
	}
	if err := known(k, source); err != nil {
		return agent.Release{}, err
	}
	there, exists, err := m.cfg.Store.App(ctx, target.app, target.env)
	if err != nil {
		return agent.Release{}, err
	}
	var before store.AppRelease
	if exists {
		if before, _, err = m.cfg.Store.OpenRelease(ctx, target.app, target.env, there.Newest.Number); err != nil {
			return agent.Release{}, err
		}
	}
	return m.request(ctx, target, there, store.AppRelease{
		Release: agent.Release{Spec: promoted(source.Spec, before.Spec), Kind: kindPromote, From: source.Number, By: by},
		Images:  byDigest(source),
	}, nil)
}

// promoted is the configuration of one environment as that of another, which
// had before until now.
func promoted(source, before agent.Spec) agent.Spec {
	spec := agent.Spec{Env: before.Env, Place: before.Place, Components: slices.Clone(source.Components)}
	for i := range spec.Components {
		c := &spec.Components[i]
		was, ok := before.Component(c.Name)
		c.Host = was.Host
		if !ok {
			continue
		}
		c.CPU, c.Memory, c.Env = was.CPU, was.Memory, maps.Clone(c.Env)
		c.Volumes = sizedAs(was, c.Volumes)
		for name := range c.Env {
			if value, set := was.Env[name]; set {
				c.Env[name] = value
			}
		}
	}
	return spec
}

func absentUnless(ok bool, k key) error {
	if ok {
		return nil
	}
	return absent(k)
}

// byDigest are the images of a release, each by its digest.
func byDigest(r store.AppRelease) map[string]store.Image {
	images := make(map[string]store.Image, len(r.Images))
	for name, image := range r.Images {
		images[name] = store.Image{Pull: pinned(image.Pull, image.Digest), Digest: image.Digest}
	}
	return images
}

// known refuses a release of which an image's digest was never learned.
func known(k key, r store.AppRelease) error {
	for _, c := range r.Spec.Components {
		if r.Images[c.Name].Digest == "" {
			return agent.Errorf(agent.CodeConflict, "deploy its image again",
				"the digest of release %d of %s is not known, so its image %s can't be brought back exactly", r.Number, k.subject(), c.Image)
		}
	}
	return nil
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
	case known(k, from) != nil:
		return known(k, from)
	case number == state.Serving && state.Newest.Number == number:
		return agent.Errorf(agent.CodeConflict, list, "release %d of %s serves already", number, k.subject())
	}
	return nil
}

// accept puts a release on disk and wakes the worker.
func (m *Manager) accept(ctx context.Context, k key, r store.AppRelease, replicas map[string]agent.Scale) (agent.Release, error) {
	r.App, r.Environment = k.app, k.env
	accepted, cancelled, err := m.cfg.Store.AddRelease(ctx, r, replicas)
	if err != nil {
		return agent.Release{}, m.explain(k, err)
	}
	images := imagesOf(accepted.Spec)
	words := fmt.Sprintf("release %d accepted: %s", accepted.Number, images)
	switch accepted.Kind {
	case kindRollback:
		words = fmt.Sprintf("release %d accepted: back to release %d (%s)", accepted.Number, accepted.From, images)
	case kindMove:
		words = fmt.Sprintf("release %d accepted: moves to %s (%s)", accepted.Number, wordOf(accepted.Spec.Place), images)
	case kindPromote:
		words = fmt.Sprintf("release %d accepted: promoted from another environment's release %d (%s)", accepted.Number, accepted.From, images)
	}
	m.step(k, accepted.Number, "resolve", "accepted")
	m.cancelled(ctx, k, cancelled, "a newer release took its place")
	m.tell(ctx, k, "info", words, r.By)
	m.cfg.Publish("release", k.subject(), accepted.Release)
	m.cfg.HostsChanged()
	m.work(k)
	return accepted.Release, nil
}

// imagesOf lists the images of a release for people.
func imagesOf(spec agent.Spec) string {
	var images []string
	for _, c := range spec.Components {
		if !slices.Contains(images, c.Image) {
			images = append(images, c.Image)
		}
	}
	return strings.Join(images, ", ")
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

// checkRoutes refuses a host and path that another component or another app has
// already.
func (m *Manager) checkRoutes(ctx context.Context, k key, spec agent.Spec) error {
	if err := m.sameRoutes(k, spec); err != nil {
		return err
	}
	states, err := m.cfg.Store.Apps(ctx)
	if err != nil {
		return err
	}
	asked := m.routes(k, spec)
	domains, err := m.cfg.Store.Domains(ctx)
	if err != nil {
		return err
	}
	for _, d := range domains {
		for at := range asked {
			if other := (key{d.App, d.Environment}); other != k && at.host == d.Host {
				return hostTaken(d.Host, other)
			}
		}
	}
	for _, s := range states {
		other := key{s.Name, s.Environment}
		if other == k {
			continue
		}
		for _, r := range live(s) {
			for at := range m.routes(other, r.Spec) {
				if _, ok := asked[at]; ok {
					return &agent.Error{
						Code:    agent.CodeConflict,
						Message: fmt.Sprintf("%s%s already leads to %s", at.host, at.path, other.subject()),
						Fix:     "give another host or path with --host or --path",
						Details: map[string]any{"host": at.host, "path": at.path, "app": other.subject()},
					}
				}
			}
		}
	}
	return nil
}

// sameRoutes refuses two components with one route, whether the default host is
// named or left out.
func (m *Manager) sameRoutes(k key, spec agent.Spec) error {
	taken := map[route]string{}
	for _, c := range spec.Components {
		if c.Path == "" {
			continue
		}
		at := route{m.host(k, c), slash(c.Path)}
		if other, ok := taken[at]; ok {
			return refuse("path", c.Path, fmt.Sprintf("the components %s and %s have the same route %s%s", other, c.Name, at.host, at.path), "give one of them another path")
		}
		taken[at] = c.Name
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
