package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// watch begins to look at a pipeline's branch: when a webhook says so, and every pollEvery.
func (m *Manager) watch(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil || m.loops[name] != nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	asked := make(chan string, 1)
	m.loops[name], m.looks[name] = cancel, asked
	m.ended.Go(func() {
		defer cancel()
		beat := time.NewTicker(pollEvery)
		defer beat.Stop()
		for {
			trigger := "poll"
			select {
			case <-ctx.Done():
				return
			case trigger = <-asked:
			case <-beat.C:
			}
			if err := m.look(ctx, name, trigger); err != nil && ctx.Err() == nil {
				m.cfg.Log.Warn("a branch can't be looked at", "pipeline", name, "err", err)
			}
		}
	})
}

// ask has a branch looked at soon. One that is asked for already is enough: it
// will see the newest commit.
func (m *Manager) ask(name, trigger string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case m.looks[name] <- trigger: // of a pipeline that is gone: blocks, so the default
	default:
	}
}

// look asks for the head of a branch and accepts a run when it is new.
func (m *Manager) look(ctx context.Context, name, trigger string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	p, err := m.Get(ctx, name)
	if err != nil {
		return err
	}
	commit, changed, err := m.head(ctx, p)
	note := ""
	if err != nil {
		note = err.Error()
	}
	if note != p.PollNote {
		p.PollNote = note
		if err := m.cfg.Store.UpdatePipeline(ctx, p); err != nil {
			return err
		}
		if note != "" {
			m.tell(ctx, "warning", name, "its branch can't be looked at: "+note, "")
		}
	}
	if err == nil && changed {
		err = m.pushed(ctx, p, commit, trigger)
	}
	return errors.Join(err, m.lookAtPulls(ctx, p, trigger), m.lookAtTags(ctx, p))
}

// pushed accepts a run of a new commit, unless it touches nothing that the
// pipeline is about.
func (m *Manager) pushed(ctx context.Context, p agent.Pipeline, commit agent.Commit, trigger string) error {
	touched, err := m.touches(ctx, p, commit.SHA)
	if err != nil {
		return err
	}
	if !touched {
		m.tell(ctx, "info", p.Name, short(commit.SHA)+" touches nothing that starts a run", "push")
		return m.cfg.Store.SetPipelineHead(ctx, p.Name, commit.SHA)
	}
	_, err = m.accept(ctx, p, agent.Run{Commit: commit, Trigger: trigger, By: "push", Before: p.Head}, true)
	return err
}

func (m *Manager) head(ctx context.Context, p agent.Pipeline) (agent.Commit, bool, error) {
	host, err := m.hostOf(ctx, p)
	if err != nil {
		return agent.Commit{}, false, err
	}
	return host.Head(ctx, p.Repository, p.Branch, p.Head)
}

// accept writes a run down and has it begin when its turn comes.
func (m *Manager) accept(ctx context.Context, p agent.Pipeline, r agent.Run, onlyNew bool) (agent.Run, error) {
	unfinished, err := m.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return agent.Run{}, err
	}
	queued, waiting := 0, 0
	for _, other := range unfinished {
		switch {
		case !other.Waits():
			queued++
		case other.Pipeline == p.Name:
			waiting++
		}
	}
	switch {
	case !r.Waits() && queued >= mostQueued:
		return agent.Run{}, agent.Errorf(agent.CodeTooMany, "wait for one to end, or cancel one: hks pipeline runs", "%d runs are waiting already", queued)
	case r.Waits() && waiting >= mostWaiting:
		return agent.Run{}, agent.Errorf(agent.CodeTooMany, "approve or cancel them: hks pipeline runs "+p.Name, "%d runs of %s wait for approval already", waiting, p.Name)
	}
	r.Pipeline, r.Repository = p.Name, p.Repository
	if r.Branch == "" {
		r.Branch = p.Branch
	}
	names := []string{agent.StepCheckout, agent.StepBuild}
	if r.Deploys() {
		names = append(names, agent.StepDeploy)
	}
	r.Steps = nil
	for _, name := range names {
		r.Steps = append(r.Steps, agent.RunStep{Name: name, Status: agent.RunPending})
	}
	run, added, superseded, err := m.cfg.Store.AddRun(ctx, r, onlyNew)
	if err != nil || !added {
		return run, err
	}
	for _, old := range superseded {
		m.cfg.Publish("run", old.Pipeline, old)
	}
	words := fmt.Sprintf("run %d of %s accepted", run.ID, short(run.Commit.SHA))
	if run.Waits() {
		words += fmt.Sprintf(": it comes of a fork, so it waits for hks pipeline approve %d", run.ID)
	}
	m.tell(ctx, "info", p.Name, words, run.By)
	m.cfg.Publish("run", run.Pipeline, run)
	return run, m.next(ctx)
}

// Trigger runs a pipeline with the newest commit of its branch, new or not.
func (m *Manager) Trigger(ctx context.Context, name, by string) (agent.Run, error) {
	p, err := m.Get(ctx, name)
	if err != nil {
		return agent.Run{}, err
	}
	p.Head = "" // the answer must tell of the commit
	commit, _, err := m.head(ctx, p)
	if err != nil {
		return agent.Run{}, err
	}
	return m.accept(ctx, p, agent.Run{Commit: commit, Trigger: "manual", By: by}, false)
}

// Rerun runs the commit of an earlier run again: all of it, or with failed
// from the step that failed. What a build had done before it failed is in the
// builder's cache; a release that failed is made again without a build.
func (m *Manager) Rerun(ctx context.Context, id int64, failed bool, by string) (agent.Run, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return agent.Run{}, err
	}
	if !r.Status.Done() {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, fmt.Sprintf("cancel it first: hks pipeline cancel %d", id), "run %d is %s", id, r.Status)
	}
	if failed && r.Status == agent.RunSucceeded {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, fmt.Sprintf("run all of it again: hks pipeline rerun %d", id), "no step of run %d failed", id)
	}
	p, err := m.Get(ctx, r.Pipeline)
	if err != nil {
		return agent.Run{}, err
	}
	next := agent.Run{Commit: r.Commit, Branch: r.Branch, Trigger: "rerun", By: by, Of: r.ID, Pull: r.Pull, App: r.App, Before: r.Before}
	if r.Pull != nil && r.Pull.Fork {
		next.Approval = by // whoever asks for it has seen it
	}
	if failed && r.Release > 0 {
		next.Again, next.Build = r.Release, r.Build
	}
	return m.accept(ctx, p, next, false)
}

// Run returns one run.
func (m *Manager) Run(ctx context.Context, id int64) (agent.Run, error) {
	r, ok, err := m.cfg.Store.Run(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks pipeline runs shows what there is", "there is no run %d", id)
	}
	return r, err
}

// Runs lists runs, newest first; name may be empty for all.
func (m *Manager) Runs(ctx context.Context, name string) ([]agent.Run, error) {
	return m.cfg.Store.Runs(ctx, name)
}

func short(sha string) string { return sha[:min(len(sha), 7)] }
