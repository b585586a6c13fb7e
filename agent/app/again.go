package app

import (
	"context"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Again accepts a release that is exactly an earlier one, whether that
// succeeded or not: for another try of what failed by chance.
func (m *Manager) Again(ctx context.Context, app string, env agent.Environment, number int, by string) (agent.Release, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.Release{}, err
	}
	from, ok, err := m.cfg.Store.OpenRelease(ctx, k.app, k.env, number)
	if err != nil {
		return agent.Release{}, err
	}
	list := k.command("app releases") + " lists what there is"
	switch {
	case !ok:
		return agent.Release{}, agent.Errorf(agent.CodeNotFound, list, "%s has no release %d; the last %d are kept", k.subject(), number, store.KeptReleases)
	case !from.Status.Done():
		return agent.Release{}, agent.Errorf(agent.CodeConflict, "wait until it ends: "+k.command("app show"), "release %d of %s is still on its way", number, k.subject())
	}
	if err := known(k, from); err != nil {
		return agent.Release{}, err
	}
	return m.request(ctx, k, state, store.AppRelease{
		Release: agent.Release{Spec: from.Spec, Kind: kindRollback, From: number, By: by},
		Images:  byDigest(from),
	}, nil)
}
