package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// bringLook is between two looks at volumes that are on their way.
const bringLook = 500 * time.Millisecond

// Of the pause while volumes are switched, what a plan reckons with: the end
// and the start of the instances, and how fast a disk is read, compared and
// read again.
const (
	pauseLeast = 10        // seconds
	pauseRate  = 100 << 20 // bytes a second
)

// claimNames are those of a release's volumes, in their order.
func claimNames(k key, spec agent.Spec) []string {
	claims, err := claimsOf(k, spec)
	if err != nil {
		return nil // it was refused when it was asked for
	}
	return slices.Sorted(maps.Keys(claims))
}

// planVolumes adds what is to be copied to the plan of a move.
func (m *Manager) planVolumes(ctx context.Context, claims []string, plan *agent.MovePlan) error {
	if len(claims) == 0 || m.cfg.Volumes == nil {
		return nil
	}
	node, err := m.VolumeNode(ctx, claims, plan.To)
	if err != nil || node == "" {
		return err
	}
	volumes, err := m.cfg.Volumes.PlanMove(ctx, claims, node)
	switch code := agent.CodeOf(err); {
	case code == agent.CodeQuotaStorage || code == agent.CodeConflict || code == agent.CodeNotFound:
		plan.Fits, plan.Reason = false, err.Error()
		return nil
	case err != nil:
		return err
	case len(volumes.Volumes) == 0:
		return nil
	}
	plan.Volumes, plan.Pause = &volumes, pauseLeast+int(volumes.Bytes/pauseRate)
	plan.Expected = []string{
		fmt.Sprintf("the data is copied to %s while it is in use: %s", node, bytesOf(float64(volumes.Bytes))),
		fmt.Sprintf("the instances with volumes end; what was written meanwhile is copied, and the copy is compared by checksum: about %d s without an answer", plan.Pause),
		"they start there; when they don't get ready, the old data and the old instances are taken again",
		"what was copied from stays for the grace time",
	}
	return nil
}

// VolumeNode is the node of a place that the claims' volumes are on, or are to
// go to: that where one is already, else the one with the most memory free. It
// is "" where there are no volumes yet.
func (m *Manager) VolumeNode(ctx context.Context, claims []string, place string) (string, error) {
	where, err := m.cfg.Volumes.Where(ctx, claims)
	if err != nil || len(where) == 0 {
		return "", err
	}
	nodes, err := m.nodesOf(ctx, wordOf(place))
	if err != nil {
		return "", err
	}
	best, room := "", int64(0)
	for _, node := range nodes {
		for _, at := range where {
			if at == node.Name {
				return node.Name, nil
			}
		}
		if free := node.Memory.Allocatable - node.Memory.Requested; node.Status == agent.NodeReady && !node.Cordoned && (best == "" || free > room) {
			best, room = node.Name, free
		}
	}
	if best == "" {
		return "", agent.Errorf(agent.CodeConflict, "see hks node list", "no node of %s is ready to take volumes", wordOf(place))
	}
	return best, nil
}

// bring sees to it that the release's volumes are where its instances will be.
// There says that they are; a release that fails by it is told by the next
// turn's state.
func (w *worker) bring(ctx context.Context, state store.AppState, r *rollout, at place) (wait time.Duration, there bool, err error) {
	spec := r.release.Spec
	claims := claimNames(w.key, spec)
	if len(claims) == 0 || w.m.cfg.Volumes == nil || w.m.cfg.Nodes == nil {
		return never, true, nil
	}
	node, err := w.m.VolumeNode(ctx, claims, spec.Place)
	if err != nil {
		return w.cantBring(ctx, state, r, at, err)
	}
	if node == "" {
		return never, true, nil
	}
	is, err := w.m.cfg.Volumes.Bring(ctx, claims, node, false)
	if err != nil {
		return w.cantBring(ctx, state, r, at, err)
	}
	if is.Done {
		return never, true, nil
	}
	if err := w.start(ctx, state); err != nil {
		return never, false, err
	}
	if is.Stop {
		gone, err := w.stopUsers(ctx, spec, at)
		if err != nil {
			return never, false, err
		}
		if !gone {
			w.step(r, "stop", "the instances with volumes end, for the last of the copy")
			return bringLook, false, nil
		}
		if is, err = w.m.cfg.Volumes.Bring(ctx, claims, node, true); err != nil {
			return w.cantBring(ctx, state, r, at, err)
		}
	}
	if is.Message != "" && w.m.cfg.Now().Sub(r.since) >= w.m.cfg.Deadline {
		return w.cantBring(ctx, state, r, at, agent.Errorf(agent.CodeRollout, "see hks volume list", "its volumes did not get to %s: %s", node, is.Message))
	}
	if is.Message == "" {
		r.since = w.m.cfg.Now() // it goes on, however long that takes
	}
	w.step(r, "copy", cmp.Or(is.Message, fmt.Sprintf("copying volumes to %s: %s of %s", node, bytesOf(float64(is.Copied)), bytesOf(float64(is.Total)))))
	return bringLook, false, nil
}

// cantBring fails a release whose volumes can't be where it wants them; while
// somebody is only away it waits.
func (w *worker) cantBring(ctx context.Context, state store.AppState, r *rollout, at place, cause error) (time.Duration, bool, error) {
	note := noteOf(cause)
	code := agent.CodeOf(cause)
	if (code == agent.CodeClusterAway || code == agent.CodeInternal) && w.m.cfg.Now().Sub(r.since) < w.m.cfg.Deadline {
		w.step(r, "copy", note.reason+"; trying again")
		return never, false, cause
	}
	return 0, false, w.fail(ctx, state, r, &trouble{kind: troubleRefused, code: code, message: note.reason, fix: note.fix}, at)
}

// stopUsers ends the instances of the components with volumes. Gone says that
// none is left.
func (w *worker) stopUsers(ctx context.Context, spec agent.Spec, at place) (gone bool, err error) {
	v := at.watch.view(w.key)
	gone = true
	for _, c := range spec.Components {
		if len(c.Volumes) == 0 {
			continue
		}
		one := v.of(c.Name)
		if one.deployment != nil && replicasOf(one.deployment) > 0 {
			gone = false
			if err := w.patch(ctx, at.namespace, c.Name, "ending the instances of "+c.Name, []byte(`{"spec":{"replicas":0}}`)); err != nil {
				return false, err
			}
		}
		if slices.ContainsFunc(one.pods, func(p *corev1.Pod) bool {
			return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
		}) {
			gone = false // those that stop or were never ready too
		}
	}
	return gone, nil
}

// arrived says of the release's volumes that all is well with them there.
func (w *worker) arrived(ctx context.Context, r *rollout) error {
	claims := claimNames(w.key, r.release.Spec)
	if len(claims) == 0 || w.m.cfg.Volumes == nil {
		return nil
	}
	return w.m.cfg.Volumes.Confirm(ctx, claims)
}

// bringBack takes the volumes again that a release which is over has moved and
// did not keep.
func (w *worker) bringBack(ctx context.Context, number int, spec agent.Spec, v views, at place) (wait time.Duration, there bool, err error) {
	claims := claimNames(w.key, spec)
	if len(claims) == 0 || w.m.cfg.Volumes == nil {
		return never, true, nil
	}
	moving, err := w.m.cfg.Volumes.Moving(ctx, claims)
	if err != nil || !moving {
		return never, !moving, err
	}
	w.m.step(w.key, number, "copy", "the volumes are taken again as they were before the move")
	// Whoever still uses the source goes on with it: only a switch needs the
	// instances to end, and then they have ended or are those that failed.
	if used := v.of(firstWithVolumes(spec)); used.deployment != nil && releaseOf(used.deployment.Labels) == number {
		if gone, err := w.stopUsers(ctx, spec, at); err != nil || !gone {
			return bringLook, false, err
		}
	}
	settled, err := w.m.cfg.Volumes.Undo(ctx, claims)
	if err != nil || settled {
		return never, settled, err
	}
	return bringLook, false, nil
}

func firstWithVolumes(spec agent.Spec) string { return hasVolumes(spec) }
