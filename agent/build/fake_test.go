package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/store"
)

// fakeBuilder makes images at once, or holds the jobs until they are let go.
type fakeBuilder struct {
	begun chan buildkit.Job // each job, as it begins
	held  chan struct{}     // closed: nothing is held

	mu   sync.Mutex // guards the rest
	fail map[string]error
	jobs []buildkit.Job
	used buildkit.Usage
}

func (f *fakeBuilder) Solve(ctx context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error) {
	f.mu.Lock()
	f.jobs = append(f.jobs, job)
	err := f.fail[job.Key]
	f.mu.Unlock()
	on(buildkit.Event{Kind: buildkit.StepStarted, Step: 1, Name: "[1/1] RUN " + job.Key})
	f.begun <- job
	select {
	case <-f.held:
	case <-ctx.Done():
		return buildkit.Result{}, fmt.Errorf("building: %w", ctx.Err())
	}
	if err != nil {
		return buildkit.Result{}, err
	}
	on(buildkit.Event{Kind: buildkit.StepDone, Step: 1, Name: "[1/1] RUN " + job.Key})
	if job.Push == "" {
		return buildkit.Result{}, nil
	}
	return buildkit.Result{Digest: "sha256:of-" + job.Push}, nil
}

func (f *fakeBuilder) DiskUsage(context.Context) (buildkit.Usage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail["cache"]; err != nil {
		return buildkit.Usage{}, err
	}
	return f.used, nil
}

func (f *fakeBuilder) Prune(_ context.Context, all bool) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	freed := f.used.Old
	if all {
		freed = f.used.Reclaimable
	}
	f.used = buildkit.Usage{Total: f.used.Total - freed, Reclaimable: f.used.Reclaimable - freed}
	return freed, f.fail["cache"]
}

func (f *fakeBuilder) letGo() { close(f.held) }

func (f *fakeBuilder) done() []buildkit.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs)
}

type deployed struct {
	app string
	env agent.Environment
	agent.Deploy
	by string
}

// fakeDeployer keeps what was released.
type fakeDeployer struct {
	mu       sync.Mutex // guards the rest
	fail     error
	releases []deployed
	refuse   error // what Check says
}

func (f *fakeDeployer) Deploy(_ context.Context, app string, env agent.Environment, d agent.Deploy, by string) (agent.Release, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return agent.Release{}, f.fail
	}
	f.releases = append(f.releases, deployed{app, env, d, by})
	return agent.Release{App: app, Environment: env, Number: len(f.releases)}, nil
}

func (f *fakeDeployer) Check(context.Context, string, agent.Environment, agent.Deploy) error {
	return f.refuse
}

func (f *fakeDeployer) done() []deployed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.releases)
}

type fakeBases []string

func (f fakeBases) Bases(context.Context) ([]string, error) { return f, nil }

// bench is a manager over a real store, with all that it needs.
type bench struct {
	t        *testing.T
	m        *Manager
	store    *store.Store
	builder  *fakeBuilder
	deployer *fakeDeployer
	dir      string
	crashes  bool         // a stop is as the agent's sudden end
	free     atomic.Int64 // bytes of the disk; 0: enough

	mu    sync.Mutex // guards what was told
	told  []agent.Activity
	shown []agent.Build
}

// crashing is a store to which an agent that ended suddenly has said nothing.
type crashing struct {
	*store.Store
	now *bool
}

func (c crashing) PauseBuild(ctx context.Context, id int64) error {
	if *c.now {
		return errors.New("the agent is gone")
	}
	return c.Store.PauseBuild(ctx, id)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{
		t: t, store: s, dir: filepath.Join(t.TempDir(), "builds"), deployer: &fakeDeployer{},
		builder: &fakeBuilder{begun: make(chan buildkit.Job, 1000), held: make(chan struct{}), fail: map[string]error{}},
	}
	b.start()
	t.Cleanup(func() {
		b.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// start has a new manager, as after a restart of the agent.
func (b *bench) start() {
	b.t.Helper()
	m, err := New(Config{
		Store: crashing{b.store, &b.crashes}, Builder: b.builder, Cache: b.builder, Budget: 9 << 30, Deployer: b.deployer, Bases: fakeBases{"registry.hks.internal/hks/node:24"}, Dir: b.dir,
		FreeSpace: func(string) (int64, error) {
			if free := b.free.Load(); free > 0 {
				return free, nil
			}
			return 100 << 30, nil
		},
		Publish: func(kind, subject string, object any) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if build, ok := object.(agent.Build); ok && kind == "build" {
				b.shown = append(b.shown, build)
			}
		},
		Activity: func(_ context.Context, a agent.Activity) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, a)
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := m.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.m = m
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.m.Stop(context.WithoutCancel(b.t.Context())); err != nil {
		b.t.Error(err)
	}
}

// submit sends the files, by their names, to be built.
func (b *bench) submit(app string, request agent.BuildRequest, files ...string) agent.Build {
	b.t.Helper()
	build, err := b.trySubmit(app, request, files...)
	if err != nil {
		b.t.Fatal(err)
	}
	return build
}

func (b *bench) trySubmit(app string, request agent.BuildRequest, files ...string) (agent.Build, error) {
	b.t.Helper()
	var entries []entry
	for i := 0; i < len(files); i += 2 {
		entries = append(entries, entry{name: files[i], content: files[i+1]})
	}
	return b.m.Submit(b.t.Context(), app, agent.Staging, request, bytes.NewReader(archive(b.t, entries...)), "owner")
}

// end waits for the end of a build and returns it with its log.
func (b *bench) end(id int64) (agent.Build, []agent.BuildLine) {
	b.t.Helper()
	var all []agent.BuildLine
	for line, err := range b.m.Logs(b.t.Context(), id, true) {
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, line)
	}
	build, err := b.m.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	if !build.Status.Done() || len(all) == 0 || all[len(all)-1].Build == nil || all[len(all)-1].Build.Status != build.Status {
		b.t.Errorf("build %d is %s at the end of its log %+v", id, build.Status, all)
	}
	return build, all
}

// has tells whether something of a build is on the disk.
func (b *bench) has(id int64, name string) bool {
	b.t.Helper()
	_, err := os.Stat(filepath.Join(b.m.folder(id), name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	return err == nil
}

// texts are the words of a log that are hks's own.
func texts(log []agent.BuildLine) []string {
	var texts []string
	for _, line := range log {
		if line.Kind == "note" {
			texts = append(texts, line.Text)
		}
	}
	return texts
}
