package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// waitsForEnd is the message of a volume that can't grow while it is in use.
const waitsForEnd = "it grows when its instance is next replaced: this machine does not let hks do it while the volume is in use"

// selectedNode is set by the scheduler on a claim whose pod it has placed.
const selectedNode = "volume.kubernetes.io/selected-node"

// turn does for every volume what is next, and sets pause to when to look
// again. One volume's failure holds up no other.
func (m *Manager) turn(ctx context.Context, pause *time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ready, err := m.look(ctx)
	if err != nil || !ready {
		*pause = pauseBusy
		return err
	}
	if err := m.take(ctx); err != nil {
		return err
	}
	rows, err := m.cfg.Ledger.Volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range rows {
		settled, err := m.step(ctx, v)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			m.cfg.Log.WarnContext(ctx, "a volume's turn failed, trying again", "volume", v.Claim, "id", v.ID, "status", v.Status, "error", err)
			if err := m.noteAfter(ctx, v.ID, err.Error()); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			*pause = min(*pause, pauseFailed)
		case !settled:
			*pause = pauseBusy
		}
	}
	return m.sweepClaims(ctx)
}

// noteAfter is note for a row that a step may have changed.
func (m *Manager) noteAfter(ctx context.Context, id, message string) error {
	v, ok, err := m.cfg.Ledger.Volume(ctx, id)
	if err != nil || !ok {
		return err
	}
	return m.note(ctx, v, message)
}

// look sees to it that the workspace's claims are watched.
func (m *Manager) look(ctx context.Context) (ready bool, err error) {
	ws, err := m.cfg.Workspace.Current(ctx)
	if code := agent.CodeOf(err); code == agent.CodeNotFound || code == agent.CodeWorkspaceMissing {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if ws.Name == "" || ws.Status != agent.WorkspaceReady {
		return false, nil
	}
	if m.watch != nil && m.watch.namespace != ws.Name {
		m.watch.close()
		m.watch = nil
	}
	if m.watch == nil {
		if m.watch, err = startWatch(context.WithoutCancel(ctx), m.cfg.Cluster.Interface(), ws.Name, m.nudge); err != nil {
			return false, err
		}
	}
	return m.watch.ready(), nil
}

// take enters the claims that wait for a volume, and those that ask for more
// than theirs has.
func (m *Manager) take(ctx context.Context) error {
	claims, err := m.watch.all()
	if err != nil {
		return err
	}
	for _, claim := range claims {
		if !ours(claim) || claim.DeletionTimestamp != nil {
			continue
		}
		switch {
		case claim.Spec.VolumeName != "":
			err = m.takeGrowth(ctx, claim)
		case claim.Annotations[selectedNode] != "":
			err = m.takeNew(ctx, claim, claim.Annotations[selectedNode])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) takeNew(ctx context.Context, claim *corev1.PersistentVolumeClaim, node string) error {
	id := "pvc-" + string(claim.UID)
	if _, there, err := m.cfg.Ledger.Volume(ctx, id); there || err != nil {
		return err
	}
	if _, err := m.disksOf(ctx, node); agent.CodeOf(err) == agent.CodeNotFound {
		return nil // nobody can make one there; the claim waits
	} else if err != nil {
		return err
	}
	size := requested(claim)
	return m.put(ctx, store.Volume{
		ID: id, Namespace: claim.Namespace, Claim: claim.Name, UID: string(claim.UID), Labels: claim.Labels,
		Size: size, Asked: size, Status: agent.VolumeMaking, CreatedAt: m.cfg.Now().UTC(), Node: m.machineOf(node),
	})
}

func (m *Manager) takeGrowth(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	v, there, err := m.cfg.Ledger.Volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if !there {
		return m.adopt(ctx, claim)
	}
	size := requested(claim)
	if size <= v.Asked || (v.Status != agent.VolumeReady && v.Status != agent.VolumeGrowing) {
		return nil
	}
	if _, moves, err := m.cfg.Ledger.VolumeMove(ctx, claim.Namespace, claim.Name); moves || err != nil {
		return err // it grows when it has arrived
	}
	v.Asked, v.Status, v.Message = size, agent.VolumeGrowing, ""
	return m.put(ctx, v)
}

// adopt enters a volume that the ledger does not know, as one from before does
// not that was put in its place: the disk and the cluster tell enough.
func (m *Manager) adopt(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	pv := m.watch.volume(claim.Spec.VolumeName)
	if pv == nil || pv.Annotations[provisionedBy] != agent.VolumeProvisioner {
		return nil
	}
	if there, err := m.cfg.Disks.Exists(pv.Name); err != nil || !there {
		return err
	}
	size := pv.Spec.Capacity.Storage().Value()
	return m.put(ctx, store.Volume{
		ID: pv.Name, Namespace: claim.Namespace, Claim: claim.Name, UID: string(claim.UID), Labels: claim.Labels,
		Size: size, Asked: size, Status: agent.VolumeReady, CreatedAt: pv.CreationTimestamp.UTC(),
	})
}

// step brings one volume further; settled says that there is nothing to wait for.
func (m *Manager) step(ctx context.Context, v store.Volume) (settled bool, err error) {
	disks, err := m.disksOf(ctx, v.Node)
	if gone := agent.CodeOf(err) == agent.CodeNotFound; gone && (v.Status == agent.VolumeKept || v.Status == agent.VolumeDeleting) {
		return true, m.lost(ctx, v)
	}
	if err != nil {
		return false, err
	}
	switch v.Status {
	case agent.VolumeMaking:
		return m.make(ctx, disks, v)
	case agent.VolumeReady:
		return true, m.check(ctx, disks, v)
	case agent.VolumeGrowing:
		return m.grow(ctx, disks, v)
	case agent.VolumeKept:
		return true, m.keep(ctx, disks, v)
	case agent.VolumeRestoring:
		return m.restore(ctx, disks, v)
	case agent.VolumeDeleting:
		return m.delete(ctx, disks, v)
	case agent.VolumeMoving:
		return true, nil // see carry
	}
	return true, fmt.Errorf("the volume %s has an unknown status %q", v.ID, v.Status)
}

func (m *Manager) make(ctx context.Context, disks Disks, v store.Volume) (settled bool, err error) {
	if claim := m.watch.claim(v.Claim); claim == nil || string(claim.UID) != v.UID {
		// Nobody waits for it any more, and nothing was ever in it.
		v.Status = agent.VolumeDeleting
		return false, m.put(ctx, v)
	}
	if err := disks.Make(ctx, v.ID, v.Size); err != nil {
		return false, err
	}
	if err := disks.Mount(ctx, v.ID); err != nil {
		return false, err
	}
	if err := m.apply(ctx, disks, v); err != nil {
		return false, err
	}
	v.Status, v.Message = agent.VolumeReady, ""
	return true, m.put(ctx, v)
}

// check sees that a volume in use is in order, or that nobody has it any more.
func (m *Manager) check(ctx context.Context, disks Disks, v store.Volume) error {
	pv := m.watch.volume(v.ID)
	if pv == nil || pv.Status.Phase == corev1.VolumeReleased || pv.Status.Phase == corev1.VolumeFailed {
		return m.released(ctx, v)
	}
	if err := disks.Mount(ctx, v.ID); err != nil { // somebody may have unmounted it
		return err
	}
	if v.Message != "" {
		v.Message = ""
		return m.put(ctx, v)
	}
	return nil
}

// released asks the cluster itself, as what was watched may be old, and begins
// the grace time of a volume whose claim is gone.
func (m *Manager) released(ctx context.Context, v store.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	pv, err := m.cfg.Cluster.Interface().CoreV1().PersistentVolumes().Get(ctx, v.ID, metav1.GetOptions{})
	err = kube.Explain("looking at the volume of "+v.Claim, err)
	switch {
	case agent.CodeOf(err) == agent.CodeNotFound:
	case err != nil:
		return err
	case pv.Status.Phase != corev1.VolumeReleased && pv.Status.Phase != corev1.VolumeFailed:
		return nil
	}
	if v.Purge {
		v.Status = agent.VolumeDeleting
		m.nudge()
		return m.put(ctx, v)
	}
	v.Status, v.KeptUntil, v.Message, v.Asked = agent.VolumeKept, m.cfg.Now().UTC().Add(m.cfg.Grace), "", v.Size
	m.cfg.Record(ctx, agent.Activity{
		Level: "info", Subject: "volume/" + v.Claim,
		Message: fmt.Sprintf("the claim of the volume %s is gone; its data stays until %s (hks volume restore %s)", v.Claim, v.KeptUntil.Format("2006-01-02 15:04 MST"), v.ID),
	})
	m.nudge()
	return m.put(ctx, v)
}

// keep holds a volume that nobody has, unmounted, until its time is over.
func (m *Manager) keep(ctx context.Context, disks Disks, v store.Volume) error {
	if err := m.forgetPV(ctx, v.ID); err != nil {
		return err
	}
	if !m.cfg.Now().Before(v.KeptUntil) {
		v.Status = agent.VolumeDeleting
		m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + v.Claim, Message: "the volume " + v.Claim + " is deleted: its grace time is over"})
		m.nudge()
		return m.put(ctx, v)
	}
	return disks.Unmount(v.ID)
}

// lost forgets a volume that nobody used any more and whose machine is gone.
func (m *Manager) lost(ctx context.Context, v store.Volume) error {
	if err := m.forgetPV(ctx, v.ID); err != nil {
		return err
	}
	if err := m.cfg.Ledger.ForgetVolume(ctx, v.ID); err != nil {
		return err
	}
	m.cfg.Publish("volume", v.Claim, nil)
	return nil
}

func (m *Manager) delete(ctx context.Context, disks Disks, v store.Volume) (settled bool, err error) {
	if err := m.forgetPV(ctx, v.ID); err != nil {
		return false, err
	}
	switch err := disks.Remove(ctx, v.ID); {
	case errors.Is(err, disk.ErrBusy):
		return false, m.note(ctx, v, "it goes when its last user has ended")
	case err != nil:
		return false, err
	}
	if err := m.cfg.Ledger.ForgetVolume(ctx, v.ID); err != nil {
		return false, err
	}
	m.cfg.Publish("volume", v.Claim, nil)
	return true, nil
}

// grow makes a volume larger while it is in use; where the machine does not
// let us, it waits for the moment when nobody uses it. Until then it is not
// mounted at its place: its pods have mounts of their own, and the next ones
// can't start before it has grown.
func (m *Manager) grow(ctx context.Context, disks Disks, v store.Volume) (settled bool, err error) {
	err = disks.Grow(ctx, v.ID, v.Asked)
	if errors.Is(err, disk.ErrBusy) {
		if err := m.note(ctx, v, waitsForEnd); err != nil {
			return false, err
		}
		if err := disks.Unmount(v.ID); err != nil && !errors.Is(err, disk.ErrBusy) {
			return false, err
		}
		if idle, err := disks.Idle(v.ID); err != nil || !idle {
			return false, err
		}
		err = disks.Grow(ctx, v.ID, v.Asked)
	}
	if err != nil {
		// What it has is of use all the same.
		return false, errors.Join(err, disks.Mount(ctx, v.ID))
	}
	if err := disks.Mount(ctx, v.ID); err != nil {
		return false, err
	}
	if err := m.tellSize(ctx, v); err != nil {
		return false, err
	}
	v.Size, v.Status, v.Message = v.Asked, agent.VolumeReady, ""
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + v.Claim, Message: fmt.Sprintf("the volume %s has %s now", v.Claim, sizeText(v.Size))})
	return true, m.put(ctx, v)
}

// restore gives a kept volume a claim of its old name.
func (m *Manager) restore(ctx context.Context, disks Disks, v store.Volume) (settled bool, err error) {
	if err := disks.Mount(ctx, v.ID); err != nil {
		return false, err
	}
	v.UID = ""
	v.Namespace = m.watch.namespace
	if err := m.apply(ctx, disks, v); err != nil {
		return false, err
	}
	if err := m.makeClaim(ctx, v); err != nil {
		return false, err
	}
	v.Status, v.Message, v.KeptUntil, v.Purge = agent.VolumeReady, "", time.Time{}, false
	return true, m.put(ctx, v)
}
