package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hks.dev/hks/agent"
)

// Parameters of what is called slow.
const (
	slowRuns  = 10 // that succeeded, of which the median is what is usual
	slowLeast = 5  // of them there must be
	slowTimes = 2
	slowMore  = time.Minute // and this much longer
)

// keepTests keeps what the tests of a run's build told. Without it the run is
// the same.
func (m *Manager) keepTests(ctx context.Context, r *agent.Run) {
	tests, err := m.cfg.Builds.Tests(ctx, r.Build)
	if err == nil && len(tests) > 0 {
		if err = m.cfg.Store.PutTests(ctx, *r, tests); err == nil {
			tests, err = m.cfg.Store.Tests(ctx, *r)
		}
	}
	if err != nil {
		m.cfg.Log.Warn("the tests of a run can't be kept", "run", r.ID, "err", err)
		return
	}
	if len(tests) == 0 {
		return
	}
	counts := agent.TestCounts{}
	for _, t := range tests {
		switch t.Outcome {
		case agent.TestPassed:
			counts.Passed++
		case agent.TestFailed:
			counts.Failed++
		default:
			counts.Skipped++
		}
		if t.Flaky != "" {
			counts.Flaky++
		}
	}
	r.Tests = &counts
}

// Tests lists the tests of a run, as their reports tell of them.
func (m *Manager) Tests(ctx context.Context, id int64) ([]agent.TestCase, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	return m.cfg.Store.Tests(ctx, r)
}

// usual is how long the runs of a branch take; 0 when too few are known.
func (m *Manager) usual(ctx context.Context, r agent.Run) time.Duration {
	runs, err := m.cfg.Store.Runs(ctx, r.Pipeline)
	if err != nil {
		m.cfg.Log.Warn("earlier runs can't be read", "run", r.ID, "err", err)
		return 0
	}
	var took []time.Duration
	for _, old := range runs {
		if old.ID < r.ID && old.Pull == nil && old.Again == 0 && old.Status == agent.RunSucceeded && len(took) < slowRuns {
			took = append(took, old.FinishedAt.Sub(old.StartedAt))
		}
	}
	if len(took) < slowLeast {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func slow(took, usual time.Duration) bool {
	return usual > 0 && took > slowTimes*usual && took > usual+slowMore
}

// deployment begins the record of a deployment at the repository. A run has
// one; what is not taken there is told, and changes nothing of the run.
func (m *Manager) deployment(ctx context.Context, r *agent.Run) {
	if r.Deployment != 0 {
		return
	}
	environment := string(agent.Staging)
	if r.App != "" {
		environment = "preview/" + r.App
	}
	host, err := m.hostOfRun(ctx, r)
	if err == nil {
		r.Deployment, err = host.AddDeployment(ctx, r.Repository, r.Commit.SHA, environment, fmt.Sprintf("release %d of %s", r.Release, r.Target()))
	}
	if err == nil && r.Deployment != 0 && m.keep(ctx, r) {
		err = host.SetDeployment(ctx, r.Repository, r.Deployment, "in_progress", "hks rolls it out")
	}
	if err != nil && ctx.Err() == nil {
		m.tell(ctx, "warning", r.Pipeline, fmt.Sprintf("the deployment of run %d is not recorded at the repository: %s", r.ID, firstLine(err.Error())), "")
	}
}

func (m *Manager) endDeployment(ctx context.Context, r *agent.Run, state, words string) {
	if r.Deployment == 0 {
		return
	}
	host, err := m.hostOfRun(ctx, r)
	if err == nil {
		err = host.SetDeployment(ctx, r.Repository, r.Deployment, state, words)
	}
	if err != nil && ctx.Err() == nil {
		m.tell(ctx, "warning", r.Pipeline, fmt.Sprintf("the deployment of run %d stays open at the repository: %s", r.ID, firstLine(err.Error())), "")
	}
}

// Permissions tells which of the permissions that hks needs of a repository
// it has.
func (m *Manager) Permissions(ctx context.Context, repository string) ([]agent.GitPermission, error) {
	host, err := m.connected(ctx)
	if err != nil {
		return nil, err
	}
	return host.Permissions(ctx, repository)
}
