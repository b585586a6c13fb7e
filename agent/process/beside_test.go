package process

import (
	"context"
	"errors"
	"testing"
)

// A successor runs before the one it follows is told to end.
func TestRunnerReplacesBesideTheOneThatRuns(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "serve")
	first := newRunner(t, cfg)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := pidOf(t, first)
	if err := first.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Revision = "another"
	ready := false
	cfg.Ready = func(_ context.Context, pid int) error {
		if pid == before {
			t.Error("asked the one before")
		}
		if !alive(before) {
			t.Error("the one before has ended already")
		}
		if !ready {
			ready = true
			return errors.New("not yet")
		}
		return nil
	}
	second := newRunner(t, cfg)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pid := pidOf(t, second); pid == before || !alive(pid) {
		t.Errorf("process %d runs, before %d", pid, before)
	}
	eventually(t, "the one before ends", func() bool { return !alive(before) })
}

// Two of them, as after a supervisor's death in the middle, become one.
func TestRunnerEndsTheOneThatASupervisorLeft(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "serve")
	first := newRunner(t, cfg)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := pidOf(t, first)
	if err := first.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Revision = "another"
	cfg.Ready = func(context.Context, int) error { return nil }
	next := newRunner(t, cfg)
	child, err := next.spawnWith(Succeeds + "=1")
	if err != nil {
		t.Fatal(err)
	}
	successor := child.pid
	next.reaps.Go(func() { _ = child.cmd.Wait() })
	child.close()
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pid := pidOf(t, next); pid != successor {
		t.Errorf("process %d runs, want the successor %d", pid, successor)
	}
	eventually(t, "the one before ends", func() bool { return !alive(before) })
}

// One that does not get ready does not take the place.
func TestRunnerStartsASuccessorAfterTheEndWhenItEndsBesides(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, "serve")
	first := newRunner(t, cfg)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := pidOf(t, first)
	if err := first.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg = config(dir, "crash")
	cfg.Revision = "another"
	cfg.Ready = func(context.Context, int) error { return errors.New("it does not answer") }
	second := newRunner(t, cfg)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the one before ends", func() bool { return !alive(before) })
	eventually(t, "the other is tried in its place", logged(second, "cannot open the flux valve"))
}
