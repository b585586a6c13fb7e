package workspace

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Between two tries of something that has to succeed in the end, such as
// removing what a failed step left.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// work is the one goroutine that changes the cluster.
func (m *Manager) work(ctx context.Context) {
	var repaired time.Time // when the ready workspace was last put right
	retry := firstRetry
	for {
		wait, err := m.next(ctx, &repaired)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.cfg.Log.Warn("the workspace is not as it should be", "error", err)
			wait, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// next does one piece of work and tells when to look again. Its error is only
// for the log: what the owner must know is in the row.
func (m *Manager) next(ctx context.Context, repaired *time.Time) (time.Duration, error) {
	row, ok, err := m.cfg.Store.Workspace(ctx)
	if err != nil || !ok {
		return m.cfg.Repair, err
	}
	switch row.Status {
	case agent.WorkspaceCreating:
		*repaired = time.Time{}
		return 0, m.create(ctx, row)
	case agent.WorkspaceRenaming:
		*repaired = time.Time{}
		return 0, m.rename(ctx, row)
	}
	if row.Leftover != "" {
		return 0, m.clean(ctx, row.Leftover)
	}
	if row.Status != agent.WorkspaceReady {
		return m.cfg.Repair, nil
	}
	if now := m.cfg.Now(); m.takeRefit() || row.Plan != row.Applied || now.Sub(*repaired) >= m.cfg.Repair {
		*repaired = now
		if err := m.repair(ctx, row); err != nil {
			return m.cfg.Refresh, err
		}
		if row.Plan != row.Applied {
			return 0, m.applied(ctx, row.Plan)
		}
	}
	m.refresh(ctx, row.Name)
	return m.cfg.Refresh, nil
}

// create makes the workspace, or fails it.
func (m *Manager) create(ctx context.Context, row store.Workspace) error {
	err := m.build(ctx, row, row.Name)
	if err != nil {
		return m.fail(ctx, err)
	}
	row, err = m.change(ctx, func(w *store.Workspace) {
		w.Status, w.Step, w.Reason, w.Fix, w.Leftover = agent.WorkspaceReady, "", "", "", ""
		if w.Plan == row.Plan {
			w.Applied = row.Plan
		}
		if w.RenameTo != "" { // asked for in the meantime
			beginRename(w, m.cfg.Now().Add(m.cfg.Timeout))
		}
	})
	if err == nil {
		m.record(ctx, "info", row, "workspace "+row.Name+" is ready")
	}
	return err
}

// fail ends the work in hand. Leftover stays in the row: the worker removes it.
func (m *Manager) fail(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the agent stops: resumed at its next start
	}
	reason, fix := words(cause)
	row, err := m.change(ctx, func(w *store.Workspace) {
		w.Status, w.Reason, w.Fix, w.RenameTo = agent.WorkspaceFailed, reason, fix, ""
	})
	if err == nil {
		m.cfg.Log.Error("making the workspace failed", "step", row.Step, "error", cause)
		m.record(ctx, "error", row, "workspace "+row.Name+" could not be made: "+reason)
	}
	return err
}

// rename makes the new namespace wholly, switches over and leaves the old one
// to be removed. When it fails the workspace stays what it was.
func (m *Manager) rename(ctx context.Context, row store.Workspace) error {
	err := m.build(ctx, row, row.RenameTo)
	if err == nil {
		err = m.mustBeEmpty(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		reason, fix := words(err)
		row, changeErr := m.change(ctx, func(w *store.Workspace) {
			w.Status, w.Step, w.Fix, w.RenameTo = agent.WorkspaceReady, "", fix, ""
			w.Reason = fmt.Sprintf("renaming it to %s failed: %s", row.RenameTo, reason)
		})
		m.record(ctx, "error", row, "workspace "+row.Name+": "+row.Reason)
		return changeErr
	}
	old := row.Name
	row, err = m.change(ctx, func(w *store.Workspace) {
		w.Name, w.RenameTo, w.Leftover = w.RenameTo, "", w.Name
		w.Status, w.Step, w.Reason, w.Fix = agent.WorkspaceReady, "", "", ""
	})
	if err == nil {
		m.record(ctx, "info", row, fmt.Sprintf("workspace %s is now called %s", old, row.Name))
	}
	return err
}

// build runs the steps for a namespace, from the first: each finds out by
// itself whether it is done.
func (m *Manager) build(ctx context.Context, row store.Workspace, namespace string) error {
	left := row.Deadline.Sub(m.cfg.Now())
	if left <= 0 {
		return agent.Errorf(agent.CodeInternal, "try again", "it was interrupted and its time has run out")
	}
	deadline, cancel := context.WithTimeoutCause(ctx, left, errOverdue)
	defer cancel()
	if row.Step == "" && row.Leftover != "" { // of an earlier try
		if err := m.patiently(deadline, func(ctx context.Context) error { return m.clean(ctx, row.Leftover) }); err != nil {
			return m.overdue(deadline, "removing what an earlier try left", err)
		}
	}
	plan, err := m.cfg.Plans.Lookup(row.Plan)
	if err != nil {
		return err
	}
	b := &builder{cfg: m.cfg, set: m.cfg.Cluster.Interface(), name: namespace, plan: plan, making: m.making}
	for _, step := range b.steps() {
		if _, err := m.change(ctx, func(w *store.Workspace) { w.Step, w.Reason = step.name, "" }); err != nil {
			return err
		}
		if err := m.patiently(deadline, step.run); err != nil {
			return m.overdue(deadline, step.name, err)
		}
	}
	return nil
}

var errOverdue = errors.New("out of time")

// overdue says in words that a step took too long.
func (m *Manager) overdue(ctx context.Context, step string, err error) error {
	if !errors.Is(context.Cause(ctx), errOverdue) {
		return err
	}
	return agent.Errorf(agent.CodeClusterAway, "look at the System line of the dashboard, then try again",
		"the step %q was not done after %s: %w", step, m.cfg.Timeout, err)
}

// patiently runs fn again for a while as long as the cluster does not answer,
// and shows what it waits for.
func (m *Manager) patiently(ctx context.Context, fn func(context.Context) error) error {
	started := m.cfg.Now()
	for {
		err := fn(ctx)
		if agent.CodeOf(err) != agent.CodeClusterAway || m.cfg.Now().Sub(started) >= m.cfg.Patience {
			return err
		}
		if _, err := m.change(ctx, func(w *store.Workspace) { w.Reason = "waiting: " + err.Error() }); err != nil {
			return err
		}
		if !sleep(ctx, max(m.cfg.Poll, m.cfg.Patience/20)) {
			return err
		}
	}
}

// making notes, before a namespace is made, that it is to be removed should
// the work not come to its end.
func (m *Manager) making(ctx context.Context, namespace string) error {
	_, err := m.change(ctx, func(w *store.Workspace) { w.Leftover = namespace })
	return err
}

// clean removes a namespace that hks made, and waits until it is gone.
func (m *Manager) clean(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	doing := "removing the namespace " + namespace
	namespaces := m.cfg.Cluster.Interface().CoreV1().Namespaces()
	asked := false
	for {
		found, err := get(ctx, doing, func(ctx context.Context) (*namespaceObject, error) {
			return namespaces.Get(ctx, namespace, metav1.GetOptions{})
		})
		switch {
		case agent.CodeOf(err) == agent.CodeNotFound:
			_, err := m.change(ctx, func(w *store.Workspace) {
				if w.Leftover == namespace {
					w.Leftover = ""
				}
			})
			return err
		case err != nil:
			return err
		case !ours(found, namespace):
			m.cfg.Log.Warn("a namespace to be removed is not ours any more; it stays", "namespace", namespace)
			_, err := m.change(ctx, func(w *store.Workspace) { w.Leftover = "" })
			return err
		case !asked && found.DeletionTimestamp == nil:
			if err := kube.Delete(ctx, namespaces, doing, namespace); err != nil {
				return err
			}
			asked = true
		}
		if !sleep(ctx, m.cfg.Poll) {
			return kube.Explain(doing, ctx.Err())
		}
	}
}

// repair applies the ready workspace again: nodes come and go, and someone
// with the administrator's credential may have changed things.
func (m *Manager) repair(ctx context.Context, row store.Workspace) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	plan, err := m.cfg.Plans.Lookup(row.Plan)
	if err != nil {
		return err
	}
	b := &builder{cfg: m.cfg, set: m.cfg.Cluster.Interface(), name: row.Name, plan: plan, making: func(ctx context.Context, namespace string) error {
		m.record(ctx, "error", row, "the namespace "+namespace+" was removed from the cluster by someone; it is made again, without what was in it")
		return nil
	}}
	for _, step := range b.steps() {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("repairing the workspace, %s: %w", step.name, err)
		}
	}
	return nil
}

func (m *Manager) record(ctx context.Context, level string, row store.Workspace, message string) {
	m.cfg.Record(ctx, agent.Activity{Time: m.cfg.Now(), Level: level, Subject: "workspace/" + row.Name, Message: message, By: row.By})
}

// words are an error's reason and fix for the row.
func words(err error) (reason, fix string) {
	if e, ok := errors.AsType[*agent.Error](err); ok {
		return e.Message, e.Fix
	}
	return err.Error(), "try again; if it fails again, the agent's log says more"
}

// sleep waits, and tells whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// get asks the cluster once, with a deadline of its own.
func get[T any](ctx context.Context, doing string, fn func(context.Context) (*T, error)) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	object, err := fn(ctx)
	if apierrors.IsNotFound(err) {
		object = nil
	}
	return object, kube.Explain(doing, err)
}
