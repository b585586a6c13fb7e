package pipeline

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// next begins the runs whose turn it is: of each pipeline the oldest, when
// none of it is at work. The builder itself bounds how many build at a time.
func (m *Manager) next(ctx context.Context) error {
	unfinished, err := m.cfg.Store.UnfinishedRuns(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return nil // the next start finds them
	}
	// Pull requests must not keep a branch waiting.
	slices.SortStableFunc(unfinished, func(a, b agent.Run) int { return cmp.Compare(pullNumber(a), pullNumber(b)) })
	for _, r := range unfinished {
		if m.busy[r.Target()] || r.Waits() || len(m.running) >= atATime {
			continue
		}
		m.busy[r.Target()] = true
		runCtx, cancel := context.WithCancelCause(m.ctx)
		m.running[r.ID] = cancel
		m.ended.Go(func() {
			defer cancel(nil)
			m.do(runCtx, r.ID)
			m.mu.Lock()
			delete(m.running, r.ID)
			delete(m.busy, r.Target())
			m.mu.Unlock()
			if err := m.next(context.WithoutCancel(runCtx)); err != nil {
				m.cfg.Log.Error("the next run can't be begun", "err", err)
			}
		})
	}
	return nil
}

func pullNumber(r agent.Run) int {
	if r.Pull == nil {
		return 0
	}
	return r.Pull.Number
}

// do takes a run to its end, unless the agent's end interrupts it.
func (m *Manager) do(ctx context.Context, id int64) {
	r, err := m.Run(ctx, id) // it may have been superseded or cancelled since
	if err != nil || r.Status.Done() {
		return
	}
	if r.StartedAt.IsZero() {
		r.StartedAt = m.cfg.Now().UTC()
	}
	r.Status = agent.RunRunning
	ctx, cancel := context.WithDeadline(ctx, r.StartedAt.Add(runDeadline))
	defer cancel()
	if !m.keep(ctx, &r) {
		return
	}
	if r.Again == 0 {
		m.status(ctx, &r, "pending", "hks builds and tests it")
	}
	err = m.steps(ctx, &r)
	after := context.WithoutCancel(ctx)
	switch {
	case errors.Is(context.Cause(ctx), errCancelled):
		return // Cancel has ended it
	case err == nil:
		m.finish(after, &r, agent.RunSucceeded, nil)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		if r.Build != 0 {
			if _, err := m.cfg.Builds.Cancel(after, r.Build, r.By); err != nil && agent.CodeOf(err) != agent.CodeConflict {
				m.cfg.Log.Warn("the build of a run that took too long goes on", "run", r.ID, "err", err)
			}
		}
		m.finish(after, &r, agent.RunFailed, &agent.Failure{Code: agent.CodeBuildFailed, Message: fmt.Sprintf("the run did not end within %s", runDeadline), Fix: fmt.Sprintf("run it again: hks pipeline rerun %d", r.ID)})
	case ctx.Err() != nil: // the agent stops; the next start goes on
	default:
		m.finish(after, &r, agent.RunFailed, m.failure(r, err))
	}
}

// steps goes on where the run was left: a build that it began is waited for, not begun again.
func (m *Manager) steps(ctx context.Context, r *agent.Run) error {
	if r.Again > 0 {
		return m.again(ctx, r)
	}
	if err := m.adopt(ctx, r); err != nil {
		return err
	}
	if r.Build == 0 {
		if err := m.submit(ctx, r); err != nil {
			return err
		}
	}
	if !m.step(ctx, r, agent.StepBuild) { // cancelled in the moment in which the build began
		_, err := m.cfg.Builds.Cancel(context.WithoutCancel(ctx), r.Build, r.By)
		return errors.Join(errNotKept, err)
	}
	build, err := m.waitBuild(ctx, r.Build)
	if err != nil {
		return err
	}
	m.keepTests(ctx, r)
	switch build.Status {
	case agent.RunFailed:
		return &agent.Error{Code: build.Failure.Code, Message: build.Failure.Message, Fix: build.Failure.Fix}
	case agent.RunCancelled:
		return agent.Errorf(agent.CodeBuildFailed, fmt.Sprintf("run it again: hks pipeline rerun %d", r.ID), "its build %d was cancelled", build.ID)
	}
	if !r.Deploys() {
		return nil
	}
	r.Release = build.Release
	if !m.step(ctx, r, agent.StepDeploy) {
		return errNotKept
	}
	m.deployment(ctx, r)
	return m.waitRelease(ctx, r.Target(), r.Release)
}

// again makes the release of an earlier run once more.
func (m *Manager) again(ctx context.Context, r *agent.Run) error {
	if !m.step(ctx, r, agent.StepDeploy) {
		return errNotKept
	}
	if r.Release == 0 {
		releases, err := m.cfg.Apps.Releases(ctx, r.Target(), agent.Staging)
		if err != nil {
			return err
		}
		for _, release := range releases {
			if release.By == mark(r) { // made just before the agent died
				r.Release = release.Number
			}
		}
	}
	if r.Release == 0 {
		release, err := m.cfg.Apps.Again(ctx, r.Target(), agent.Staging, r.Again, mark(r))
		if err != nil {
			return err
		}
		r.Release = release.Number
	}
	if !m.keep(ctx, r) {
		return errNotKept
	}
	m.deployment(ctx, r)
	return m.waitRelease(ctx, r.Target(), r.Release)
}

// mark is by whom a run's build is; it is found again by it.
func mark(r *agent.Run) string { return fmt.Sprintf("run %d (%s)", r.ID, short(r.Commit.SHA)) }

// adopt finds the build that this run began just before the agent died.
func (m *Manager) adopt(ctx context.Context, r *agent.Run) error {
	if r.Build != 0 {
		return nil
	}
	builds, err := m.cfg.Builds.List(ctx, r.Target(), agent.Staging)
	if err != nil {
		return err
	}
	for _, b := range builds {
		if b.By == mark(r) {
			r.Build = b.ID
			break
		}
	}
	return nil
}

// submit checks the commit out and hands it to the builder.
func (m *Manager) submit(ctx context.Context, r *agent.Run) error {
	if !m.step(ctx, r, agent.StepCheckout) {
		return errNotKept
	}
	p, err := m.Get(ctx, r.Pipeline)
	if err != nil {
		return err
	}
	host, err := m.hostOf(ctx, p)
	if err != nil {
		return err
	}
	checkout := filepath.Join(m.cfg.Dir, strconv.FormatInt(r.ID, 10))
	defer func() {
		if err := os.RemoveAll(checkout); err != nil {
			m.cfg.Log.Warn("a checkout stays", "folder", checkout, "err", err)
		}
	}()
	if err := os.RemoveAll(checkout); err != nil {
		return fmt.Errorf("clearing a checkout: %w", err)
	}
	if err := host.Clone(ctx, r.Repository, r.Commit.SHA, checkout); err != nil {
		return err
	}
	root, err := os.OpenRoot(checkout)
	if err != nil {
		return fmt.Errorf("opening a checkout: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	if p.Folder != "" {
		inner, err := root.OpenRoot(filepath.FromSlash(p.Folder)) // refuses a link out of the checkout
		if err != nil {
			return agent.Errorf(agent.CodeInvalid, "name another: hks pipeline edit "+p.Name+" --folder FOLDER", "the repository has no folder %q at this commit", p.Folder)
		}
		defer func() { _ = inner.Close() }() // only read from
		root = inner
	}
	packed, out := io.Pipe()
	written := make(chan struct{})
	go func() { // ends with the pipe, which is closed below
		defer close(written)
		archive := tar.NewWriter(out)
		err := archive.AddFS(root.FS())
		_ = out.CloseWithError(errors.Join(err, archive.Close()))
	}()
	request, err := m.request(ctx, p, r)
	if err != nil {
		_ = packed.Close()
		<-written
		return err
	}
	build, err := m.cfg.Builds.Submit(ctx, r.Target(), agent.Staging, request, packed, mark(r))
	_ = packed.Close() // unblocks the writer
	<-written
	if err != nil {
		return err
	}
	r.Build = build.ID
	return nil
}

func (m *Manager) waitBuild(ctx context.Context, id int64) (agent.Build, error) {
	for {
		b, err := m.cfg.Builds.Get(ctx, id)
		if err != nil || b.Status.Done() {
			return b, err
		}
		if err := pause(ctx); err != nil {
			return b, err
		}
	}
}

// waitRelease waits until staging was seen to serve the release, or not.
func (m *Manager) waitRelease(ctx context.Context, app string, number int) error {
	for {
		release, err := m.cfg.Apps.Release(ctx, app, agent.Staging, number)
		if err != nil {
			return err
		}
		if over, err := outcome(release); over {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(stepPoll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// errNotKept is why a run goes no further that has ended meanwhile, or that
// can't be written down.
var errNotKept = errors.New("how far the run is was not kept")

// step ends the steps before name and begins it.
func (m *Manager) step(ctx context.Context, r *agent.Run, name string) bool {
	now := m.cfg.Now().UTC()
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Name == name {
			if s.Status != agent.RunRunning {
				s.Status, s.StartedAt = agent.RunRunning, now
			}
			break
		}
		if !s.Status.Done() {
			s.Status, s.FinishedAt = agent.RunSucceeded, now
		}
	}
	return m.keep(ctx, r)
}

// outcome tells whether a release has ended, and why it did not succeed.
func outcome(release agent.Release) (over bool, err error) {
	switch {
	case !release.Status.Done():
		return false, nil
	case release.Status == agent.ReleaseSucceeded:
		return true, nil
	case release.Failure != nil:
		return true, &agent.Error{Code: release.Failure.Code, Message: release.Failure.Message, Fix: release.Failure.Fix}
	}
	return true, agent.Errorf(agent.CodeRollout, "", "release %d was cancelled: a newer one took its place", release.Number)
}

// keep writes a run down; false when it has ended meanwhile, or can't be.
func (m *Manager) keep(ctx context.Context, r *agent.Run) bool {
	kept, err := m.cfg.Store.UpdateRun(ctx, *r)
	if err != nil {
		if ctx.Err() == nil {
			m.cfg.Log.Error("how far a run is can't be kept", "run", r.ID, "err", err)
		}
		return false
	}
	if kept {
		m.cfg.Publish("run", r.Pipeline, *r)
	}
	return kept
}

func (m *Manager) failure(r agent.Run, err error) *agent.Failure {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return &agent.Failure{Code: e.Code, Message: e.Message, Fix: e.Fix}
	}
	m.cfg.Log.Error("a run met a fault of ours", "run", r.ID, "err", err)
	return &agent.Failure{Code: agent.CodeInternal, Message: "hks met a fault of its own", Fix: fmt.Sprintf("the agent's log says more; run it again: hks pipeline rerun %d", r.ID)}
}

// finish ends a run for whoever looks at it, here and at GitHub.
func (m *Manager) finish(ctx context.Context, r *agent.Run, status agent.RunStatus, failure *agent.Failure) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	end(r, status, failure, m.cfg.Now().UTC())
	state, words := "success", "staging serves it"
	switch {
	case !r.Deploys():
		words = "built and tested"
	case r.Pull != nil:
		words = "the app " + r.App + " serves it"
	}
	if failure != nil {
		state, words = "failure", firstLine(failure.Message)
	}
	before := m.before(ctx, *r)
	usual := m.usual(ctx, *r)
	r.Slow = status == agent.RunSucceeded && slow(r.FinishedAt.Sub(r.StartedAt), usual)
	if !m.keep(ctx, r) {
		return
	}
	level, message := "info", fmt.Sprintf("run %d of %s has %s", r.ID, short(r.Commit.SHA), status)
	if failure != nil {
		level, message = "error", message+": "+firstLine(failure.Message)
	}
	m.tell(ctx, level, r.Pipeline, message, r.By)
	if r.Pull == nil { // what becomes of a pull request is told at the repository
		m.cfg.Ended(ctx, *r, before)
		if r.Slow && (before == nil || !before.Slow) {
			m.cfg.Notice(ctx, fmt.Sprintf("Run %d of the pipeline %s took %s; its runs usually take %s.", r.ID, r.Pipeline, r.FinishedAt.Sub(r.StartedAt).Round(time.Second), usual.Round(time.Second)))
		}
	}
	m.endDeployment(ctx, r, state, words)
	m.status(ctx, r, state, words)
}

func end(r *agent.Run, status agent.RunStatus, failure *agent.Failure, now time.Time) {
	r.Status, r.Failure, r.FinishedAt = status, failure, now
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Status == agent.RunRunning {
			s.Status, s.FinishedAt = status, now
		}
	}
}

// before is the run that ended before this one.
func (m *Manager) before(ctx context.Context, r agent.Run) *agent.Run {
	runs, err := m.cfg.Store.Runs(ctx, r.Pipeline)
	if err != nil {
		m.cfg.Log.Warn("earlier runs can't be read", "run", r.ID, "err", err)
		return nil
	}
	for _, old := range runs {
		if old.ID < r.ID && old.Pull == nil && (old.Status == agent.RunSucceeded || old.Status == agent.RunFailed) {
			return &old
		}
	}
	return nil
}

// status tells GitHub. What it does not take is told on the screen and in the
// log, and changes nothing of the run.
func (m *Manager) status(ctx context.Context, r *agent.Run, state, words string) {
	host, err := m.hostOfRun(ctx, r)
	if err == nil {
		err = host.SetStatus(ctx, r.Repository, r.Commit.SHA, state, words, "")
	}
	if err != nil && ctx.Err() == nil {
		m.tell(ctx, "warning", r.Pipeline, fmt.Sprintf("GitHub did not take the status of run %d: %s", r.ID, firstLine(err.Error())), "")
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Cancel stops a run that has not ended, with its build.
func (m *Manager) Cancel(ctx context.Context, id int64, by string) (agent.Run, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return agent.Run{}, err
	}
	end(&r, agent.RunCancelled, nil, m.cfg.Now().UTC())
	r.Note = "cancelled by " + by
	if !m.keep(ctx, &r) {
		return agent.Run{}, agent.Errorf(agent.CodeConflict, "", "run %d has ended already", id)
	}
	m.mu.Lock()
	cancel := m.running[id]
	m.mu.Unlock()
	if cancel != nil {
		cancel(errCancelled)
	}
	if r.Build != 0 {
		if _, err := m.cfg.Builds.Cancel(ctx, r.Build, by); err != nil && agent.CodeOf(err) != agent.CodeConflict {
			return agent.Run{}, err
		}
	}
	m.tell(ctx, "info", r.Pipeline, fmt.Sprintf("run %d cancelled", id), by)
	m.endDeployment(ctx, &r, "inactive", "cancelled")
	m.status(ctx, &r, "error", "cancelled")
	return r, nil
}
