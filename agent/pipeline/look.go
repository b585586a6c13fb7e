package pipeline

import (
	"context"
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
	if err != nil || !changed {
		return err
	}
	_, err = m.accept(ctx, p, commit, trigger, "push", true)
	return err
}

func (m *Manager) head(ctx context.Context, p agent.Pipeline) (agent.Commit, bool, error) {
	host, err := m.connected(ctx)
	if err != nil {
		return agent.Commit{}, false, err
	}
	return host.Head(ctx, p.Repository, p.Branch, p.Head)
}

// accept writes a run down and has it begin when its turn comes.
func (m *Manager) accept(ctx context.Context, p agent.Pipeline, commit agent.Commit, trigger, by string, onlyNew bool) (agent.Run, error) {
	unfinished, err := m.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return agent.Run{}, err
	}
	if len(unfinished) >= mostQueued {
		return agent.Run{}, agent.Errorf(agent.CodeTooMany, "wait for one to end, or cancel one: hks pipeline runs", "%d runs are waiting already", len(unfinished))
	}
	run, added, superseded, err := m.cfg.Store.AddRun(ctx, agent.Run{
		Pipeline: p.Name, Repository: p.Repository, Branch: p.Branch, Commit: commit, Trigger: trigger, By: by,
		Steps: []agent.RunStep{{Name: agent.StepCheckout, Status: agent.RunPending}, {Name: agent.StepBuild, Status: agent.RunPending}, {Name: agent.StepDeploy, Status: agent.RunPending}},
	}, onlyNew)
	if err != nil || !added {
		return run, err
	}
	for _, old := range superseded {
		m.cfg.Publish("run", old.Pipeline, old)
	}
	m.tell(ctx, "info", p.Name, fmt.Sprintf("run %d of %s accepted", run.ID, short(commit.SHA)), by)
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
	return m.accept(ctx, p, commit, "manual", by, false)
}

// Rerun runs the commit of an earlier run again.
func (m *Manager) Rerun(ctx context.Context, id int64, by string) (agent.Run, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return agent.Run{}, err
	}
	if !r.Status.Done() {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, fmt.Sprintf("cancel it first: hks pipeline cancel %d", id), "run %d is %s", id, r.Status)
	}
	p, err := m.Get(ctx, r.Pipeline)
	if err != nil {
		return agent.Run{}, err
	}
	return m.accept(ctx, p, r.Commit, "rerun", by, false)
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
