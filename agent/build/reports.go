package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

// reportsMount is the id of the cache mount in which a Dockerfile's own stage
// leaves reports; a template's stage has one for each build, so that its tests
// run each time.
const reportsMount = "hks-reports"

// reports fetches what the tests have left, also those that failed: a failed
// step leaves no layer, but what it wrote to a cache mount stays. What can't be
// fetched is told in the log, and changes nothing of the build.
func (w *work) reports(ctx context.Context, p plan) {
	if w.request.Reports == "" {
		return
	}
	found, err := w.fetchReports(ctx, p)
	switch {
	case err != nil && ctx.Err() == nil:
		w.m.cfg.Log.Warn("the reports of tests can't be read", "build", w.build.ID, "err", err)
		w.add(agent.BuildLine{Kind: string(buildkit.StepWarning), Text: "the reports of the tests can't be read"})
	case len(found) == 0 && err == nil:
		w.note(fmt.Sprintf("the tests left no JUnit file in %s", w.request.Reports))
	}
	for i := range found {
		t := &found[i]
		t.Suite, t.Name, t.Message = w.mask.text(t.Suite), w.mask.text(t.Name), w.mask.text(t.Message)
	}
	w.tests = found
}

func (w *work) fetchReports(ctx context.Context, p plan) (found []agent.TestCase, err error) {
	folder, err := os.MkdirTemp(w.m.folder(w.build.ID), "reports-")
	if err != nil {
		return nil, fmt.Errorf("making room for the reports of tests: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	empty := filepath.Join(folder, "context")
	if err := os.Mkdir(empty, 0o700); err != nil {
		return nil, fmt.Errorf("making room for the reports of tests: %w", err)
	}
	mount := "--mount=type=cache,id=" + p.reports + ",target=/reports "
	job := w.job(p, "", "")
	job.Key, job.Context, job.File, job.Ignore, job.Args, job.Secrets, job.Labels = job.Key+"/reports", empty, "", nil, nil, nil, nil
	job.Archive, job.ArchiveLimit = filepath.Join(folder, "reports.tar"), maxReports
	// The steps run each time by the folder's name, which is new. A build without
	// the cache would do that too, but empties its cache mounts first.
	job.Fresh = false
	job.Dockerfile = []byte("FROM " + w.options.Images.Base + " AS reports\nENV HKS_REPORTS=" + filepath.Base(folder) + "\nRUN " + mount + `["cp", "-R", "-P", "/reports/.", "/out"]` + "\nRUN " + mount +
		`["find", "/reports", "-mindepth", "1", "-delete"]` + "\nFROM scratch\nCOPY --from=reports /out /\n")
	if _, err := w.m.cfg.Builder.Solve(ctx, job, func(buildkit.Event) {}); err != nil {
		return nil, err
	}
	archive, err := os.Open(job.Archive)
	if err != nil {
		return nil, fmt.Errorf("opening the reports of tests: %w", err)
	}
	defer func() { _ = archive.Close() }() // only read from
	return readReports(archive, w.component.Name)
}

// Tests are the tests of a build, as their reports tell of them.
func (m *Manager) Tests(ctx context.Context, id int64) ([]agent.TestCase, error) {
	if _, err := m.Get(ctx, id); err != nil {
		return nil, err
	}
	return readTests(m.folder(id))
}
