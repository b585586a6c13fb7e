package pipeline

import (
	"context"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

const (
	sweepEvery    = time.Minute
	removeTimeout = 5 * time.Minute // of a preview's app
)

// lookAtPulls accepts runs of pull requests that have a new commit, and ends
// what belongs to those that were closed.
func (m *Manager) lookAtPulls(ctx context.Context, p agent.Pipeline, trigger string) error {
	if !p.PullRequests {
		return nil
	}
	host, err := m.hostOf(ctx, p)
	if err != nil {
		return err
	}
	pulls, all, err := host.Pulls(ctx, p.Repository)
	if err != nil {
		return err
	}
	heads, err := m.cfg.Store.PullHeads(ctx, p.Name)
	if err != nil {
		return err
	}
	for _, pull := range pulls {
		known := heads[pull.Number]
		delete(heads, pull.Number)
		if known == pull.SHA {
			continue
		}
		if err := m.acceptPull(ctx, p, pull, known, trigger); err != nil {
			return err
		}
	}
	if !all {
		return nil // one that is not listed may be open all the same
	}
	for number := range heads {
		if err := m.closed(ctx, p.Name, number); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) acceptPull(ctx context.Context, p agent.Pipeline, pull agent.Pull, known, trigger string) error {
	r := agent.Run{
		Commit: agent.Commit{SHA: pull.SHA, Message: pull.Title, Author: pull.Author, URL: pull.URL},
		Branch: pull.Branch, Trigger: trigger, By: "pull request", Pull: &pull, Before: known,
	}
	if pull.Fork {
		r.Approval = agent.ApprovalNeeded
	}
	if !pull.Fork && p.Previews > 0 {
		previews, err := m.previewsOf(ctx, p.Name)
		if err != nil {
			return err
		}
		name := agent.PreviewName(p.Name, pull.Number)
		_, there := previews[name]
		if there || len(previews) < p.Previews {
			r.App = name
		} else {
			r.Note = fmt.Sprintf("it has no preview: there are %d already", len(previews))
		}
	}
	_, err := m.accept(ctx, p, r, true)
	return err
}

func (m *Manager) previewsOf(ctx context.Context, pipeline string) (map[string]agent.Preview, error) {
	all, err := m.cfg.Store.Previews(ctx)
	previews := map[string]agent.Preview{}
	for _, one := range all {
		if one.Pipeline == pipeline {
			previews[one.App] = one
		}
	}
	return previews, err
}

// Previews lists the apps of pull requests.
func (m *Manager) Previews(ctx context.Context) ([]agent.Preview, error) {
	return m.cfg.Store.Previews(ctx)
}

// Approve has a run of a fork begin.
func (m *Manager) Approve(ctx context.Context, id int64, by string) (agent.Run, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return agent.Run{}, err
	}
	if !r.Waits() || r.Status.Done() {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, "", "run %d waits for no approval", id)
	}
	r.Approval = by
	if !m.keep(ctx, &r) {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, "", "run %d has ended already", id)
	}
	m.tell(ctx, "info", r.Pipeline, fmt.Sprintf("run %d of a fork approved", id), by)
	return r, m.next(ctx)
}

// closed ends what belongs to a pull request that is no longer open. It is
// forgotten when its app is gone, so that a crash before leaves it to be ended again.
func (m *Manager) closed(ctx context.Context, pipeline string, number int) error {
	if err := m.cancelPull(ctx, pipeline, number); err != nil {
		return err
	}
	previews, err := m.previewsOf(ctx, pipeline)
	if err != nil {
		return err
	}
	if one, ok := previews[agent.PreviewName(pipeline, number)]; ok {
		m.removePreview(one, "its pull request was closed")
		return nil
	}
	return m.cfg.Store.ForgetPull(ctx, pipeline, number)
}

func (m *Manager) cancelPull(ctx context.Context, pipeline string, number int) error {
	unfinished, err := m.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range unfinished {
		if r.Pipeline != pipeline || pullNumber(r) != number {
			continue
		}
		if _, err := m.Cancel(ctx, r.ID, "the end of its pull request"); err != nil && agent.CodeOf(err) != agent.CodeConflict {
			return err
		}
	}
	return nil
}

// removePreview has a preview's app deleted, once at a time.
func (m *Manager) removePreview(one agent.Preview, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil || m.removes[one.App] {
		return
	}
	m.removes[one.App] = true
	m.ended.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, removeTimeout)
		defer cancel()
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.removes, one.App)
		}()
		if err := m.cancelPull(ctx, one.Pipeline, one.Pull); err != nil {
			m.cfg.Log.Warn("the runs of a preview can't be cancelled", "app", one.App, "err", err)
			return
		}
		_, err := m.cfg.Apps.Delete(ctx, one.App, agent.Staging, "pipeline "+one.Pipeline)
		if err != nil && agent.CodeOf(err) != agent.CodeNotFound { // the next sweep tries again
			m.cfg.Log.Warn("a preview can't be removed", "app", one.App, "err", err)
			return
		}
		if err := m.cfg.Store.EndPreview(ctx, one.Pipeline, one.Pull); err != nil {
			m.cfg.Log.Error("the end of a preview can't be kept", "app", one.App, "err", err)
			return
		}
		m.tell(ctx, "info", one.Pipeline, "the preview "+one.App+" was removed: "+why, "")
	})
}

// sweep removes previews that are too old, or whose pipeline has none any more.
func (m *Manager) sweep(ctx context.Context) {
	beat := time.NewTicker(sweepEvery)
	defer beat.Stop()
	for {
		if err := m.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("previews can't be looked at", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
	}
}

func (m *Manager) sweepOnce(ctx context.Context) error {
	previews, err := m.cfg.Store.Previews(ctx)
	if err != nil || len(previews) == 0 {
		return err
	}
	all, err := m.cfg.Store.Pipelines(ctx)
	if err != nil {
		return err
	}
	pipelines := map[string]agent.Pipeline{}
	for _, p := range all {
		pipelines[p.Name] = p
	}
	for _, one := range previews {
		p, there := pipelines[one.Pipeline]
		days := p.PreviewDays
		if days == 0 {
			days = previewDays
		}
		switch {
		case !there:
			m.removePreview(one, "its pipeline was deleted")
		case !p.PullRequests || p.Previews == 0:
			m.removePreview(one, "its pipeline has no previews any more")
		case m.cfg.Now().Sub(one.At) > time.Duration(days)*24*time.Hour:
			m.removePreview(one, fmt.Sprintf("it got no push for %d days", days))
		}
	}
	return nil
}
