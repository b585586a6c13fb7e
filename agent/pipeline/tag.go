package pipeline

import (
	"context"
	"fmt"
	"path"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// tagPatience is how long a tag waits for the run of its commit.
const tagPatience = time.Hour

// noteTags writes the tags that there are as seen: only those that come later
// promote anything.
func (m *Manager) noteTags(ctx context.Context, host Host, p agent.Pipeline) error {
	if p.PromoteTags == "" {
		return nil
	}
	tags, err := host.Tags(ctx, p.Repository)
	if err != nil {
		return err
	}
	for name, sha := range tags {
		if err := m.cfg.Store.PutTag(ctx, p.Name, store.Tag{Name: name, SHA: sha, State: store.TagSeen, At: m.cfg.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// lookAtTags promotes to production what staging serves, when a new tag says so. A tag
// at anything else promotes nothing: what was not seen to work in staging has
// no way to production.
func (m *Manager) lookAtTags(ctx context.Context, p agent.Pipeline) error {
	if p.PromoteTags == "" {
		return nil
	}
	host, err := m.hostOf(ctx, p)
	if err != nil {
		return err
	}
	tags, err := host.Tags(ctx, p.Repository)
	if err != nil {
		return err
	}
	kept, err := m.cfg.Store.Tags(ctx, p.Name)
	if err != nil {
		return err
	}
	known := map[string]store.Tag{}
	for _, t := range kept {
		known[t.Name] = t
	}
	for name, sha := range tags {
		if match, err := path.Match(p.PromoteTags, name); err != nil || !match {
			continue
		}
		t, ok := known[name]
		if !ok || t.SHA != sha { // a tag that was moved is a new one
			t = store.Tag{Name: name, SHA: sha, State: store.TagWaiting, At: m.cfg.Now()}
		}
		if t.State != store.TagWaiting {
			continue
		}
		if err := m.promote(ctx, p, &t); err != nil {
			return err
		}
		if err := m.cfg.Store.PutTag(ctx, p.Name, t); err != nil {
			return err
		}
	}
	return nil
}

// promote decides on a tag that waits.
func (m *Manager) promote(ctx context.Context, p agent.Pipeline, t *store.Tag) error {
	refuse := func(why string) {
		t.State = store.TagRefused
		m.tell(ctx, "warning", p.Name, fmt.Sprintf("the tag %s promotes nothing: %s", t.Name, why), "tag "+t.Name)
	}
	runs, err := m.cfg.Store.Runs(ctx, p.Name)
	if err != nil {
		return err
	}
	var newest *agent.Run
	for i := range runs {
		if runs[i].Commit.SHA == t.SHA && runs[i].Pull == nil {
			newest = &runs[i]
			break
		}
	}
	switch {
	case (newest == nil || !newest.Status.Done()) && m.cfg.Now().Sub(t.At) < tagPatience:
		return nil
	case newest == nil || newest.Status != agent.RunSucceeded:
		refuse("its commit " + short(t.SHA) + " has no run that succeeded")
		return nil
	}
	app, err := m.cfg.Apps.Get(ctx, p.Name, agent.Staging)
	if err != nil && agent.CodeOf(err) != agent.CodeNotFound {
		return err
	}
	if err != nil || app.Release != newest.Release {
		refuse(fmt.Sprintf("staging serves release %d, and its commit is release %d", app.Release, newest.Release))
		return nil
	}
	// Written first: an agent that dies now promotes once at most.
	t.State = store.TagPromoted
	if err := m.cfg.Store.PutTag(ctx, p.Name, *t); err != nil {
		return err
	}
	release, err := m.cfg.Apps.Promote(ctx, p.Name, agent.Staging, agent.Production, "tag "+t.Name)
	if err != nil {
		if agent.CodeOf(err) == agent.CodeInternal {
			return err
		}
		refuse(firstLine(err.Error()))
		return nil
	}
	m.tell(ctx, "info", p.Name, fmt.Sprintf("the tag %s promotes release %d of staging to production, as release %d there", t.Name, newest.Release, release.Number), "tag "+t.Name)
	return nil
}
