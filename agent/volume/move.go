package volume

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Bring brings volumes to a node, and is called again and again by whoever
// their claims belong to: it begins what is to be begun and tells where that
// stands. With stopped the caller says that no pod uses them any more.
func (m *Manager) Bring(ctx context.Context, claims []string, node string, stopped bool) (agent.Bring, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.watch.ready() {
		return agent.Bring{}, agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	all := agent.Bring{Done: true}
	ready := 0 // may be switched
	for _, name := range claims {
		one, err := m.bring(ctx, name, m.machineOf(node), stopped)
		if err != nil {
			return agent.Bring{}, err
		}
		all.Done = all.Done && one.Done
		all.Total, all.Copied, all.Rest = all.Total+one.Total, all.Copied+one.Copied, all.Rest+one.Rest
		if one.Message != "" {
			all.Message = one.Message
		}
		if one.Stop || one.Done {
			ready++
		}
	}
	all.Stop = !all.Done && ready == len(claims)
	return all, nil
}

func (m *Manager) bring(ctx context.Context, name, machine string, stopped bool) (agent.Bring, error) {
	move, moves, err := m.cfg.Ledger.VolumeMove(ctx, m.watch.namespace, name)
	if err != nil {
		return agent.Bring{}, err
	}
	if moves && move.ToNode != machine {
		return m.turnAround(ctx, move)
	}
	if !moves {
		return m.set(ctx, name, machine)
	}
	is := agent.Bring{Total: move.Total, Copied: move.Copied, Rest: move.Rest, Message: move.Message}
	switch move.Phase {
	case agent.MoveCopied:
		is.Stop = true
		if stopped {
			source, err := m.row(ctx, move.Source)
			if err != nil {
				return agent.Bring{}, err
			}
			source.Status, move.Phase, move.Message = agent.VolumeMoving, agent.MoveSwitching, ""
			if err := m.cfg.Ledger.PutVolumeMove(ctx, move, source); err != nil {
				return agent.Bring{}, err
			}
			m.nudgeCarry()
		}
	case agent.MoveSwitching:
		is.Stop = true // it goes on being stopped
	case agent.MoveSwitched:
		target, err := m.row(ctx, move.Target)
		if err != nil {
			return agent.Bring{}, err
		}
		is.Done = target.Status == agent.VolumeReady
		is.Message = target.Message
	case agent.MoveCopying, agent.MoveUndoing:
	}
	return is, nil
}

// set begins the move of a claim's volume, where it has one elsewhere.
func (m *Manager) set(ctx context.Context, name, machine string) (agent.Bring, error) {
	claim := m.watch.claim(name)
	if claim == nil || claim.Spec.VolumeName == "" {
		return agent.Bring{Done: true}, nil // it is made where its first pod is
	}
	v, there, err := m.cfg.Ledger.Volume(ctx, claim.Spec.VolumeName)
	switch {
	case err != nil:
		return agent.Bring{}, err
	case !there:
		return agent.Bring{}, agent.Errorf(agent.CodeConflict, "keep its data in a volume of the class "+agent.StorageClass, "%s is of the class %s, whose volumes hks can't carry elsewhere", name, classOf(claim))
	case v.Node == machine && (v.Status == agent.VolumeReady || v.Status == agent.VolumeGrowing):
		return agent.Bring{Done: true}, nil
	case v.Status != agent.VolumeReady:
		return agent.Bring{Message: fmt.Sprintf("the volume %s is %s; it moves after that", name, v.Status)}, nil
	}
	disks, err := m.disksOf(ctx, machine)
	if err != nil {
		return agent.Bring{}, err
	}
	if err := disks.Room(v.Size); err != nil {
		return agent.Bring{}, err
	}
	notes := maps.Clone(claim.Annotations)
	maps.DeleteFunc(notes, func(key, _ string) bool { // those are for one volume
		return strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.") || strings.HasPrefix(key, "volume.kubernetes.io/")
	})
	target := v
	target.ID, target.UID, target.Node, target.Status, target.CreatedAt = "pvc-"+string(uuid.NewUUID()), "", machine, agent.VolumeMoving, m.cfg.Now().UTC()
	target.Labels = claim.Labels
	move := store.VolumeMove{
		Namespace: v.Namespace, Claim: name, Source: v.ID, Target: target.ID, FromNode: v.Node, ToNode: machine,
		Phase: agent.MoveCopying, Notes: notes, BegunAt: m.cfg.Now().UTC(),
	}
	if err := m.cfg.Ledger.PutVolumeMove(ctx, move, target); err != nil {
		return agent.Bring{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "volume/" + name, Message: fmt.Sprintf("the volume %s moves from %s to %s", name, m.nodeOf(v.Node), m.nodeOf(machine))})
	m.nudgeCarry()
	return agent.Bring{Message: "begins to copy " + name}, nil
}

// turnAround is for a move that goes elsewhere than is wanted now.
func (m *Manager) turnAround(ctx context.Context, move store.VolumeMove) (agent.Bring, error) {
	is := agent.Bring{Message: fmt.Sprintf("the move of %s to %s is ended first", move.Claim, m.nodeOf(move.ToNode))}
	switch move.Phase {
	case agent.MoveCopying, agent.MoveCopied:
		return is, m.giveUp(ctx, move)
	case agent.MoveSwitched:
		return is, m.confirm(ctx, move)
	case agent.MoveSwitching, agent.MoveUndoing:
	}
	return is, nil
}

// giveUp ends a move of which nothing but the copy is there.
func (m *Manager) giveUp(ctx context.Context, move store.VolumeMove) error {
	target, err := m.row(ctx, move.Target)
	if err != nil {
		return err
	}
	target.Status = agent.VolumeDeleting
	m.nudge()
	return m.cfg.Ledger.EndVolumeMove(ctx, move.Namespace, move.Claim, target)
}

// Undo takes the volumes again that a move has left: as they were when it was
// cut over. The caller sees to it that no pod uses them. Settled says that all
// are there.
func (m *Manager) Undo(ctx context.Context, claims []string) (settled bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.watch.ready() {
		return false, nil
	}
	settled = true
	for _, name := range claims {
		move, moves, err := m.cfg.Ledger.VolumeMove(ctx, m.watch.namespace, name)
		if err != nil {
			return false, err
		}
		if !moves {
			continue
		}
		settled = false
		switch move.Phase {
		case agent.MoveCopying, agent.MoveCopied:
			err = m.giveUp(ctx, move)
		case agent.MoveSwitching, agent.MoveSwitched:
			move.Phase, move.Message = agent.MoveUndoing, ""
			err = m.cfg.Ledger.PutVolumeMove(ctx, move)
			m.nudgeCarry()
		case agent.MoveUndoing:
		}
		if err != nil {
			return false, err
		}
	}
	return settled, nil
}

// Moving tells whether any of the claims is on its way, or has arrived and
// waits for a word.
func (m *Manager) Moving(ctx context.Context, claims []string) (bool, error) {
	all, err := m.cfg.Ledger.VolumeMoves(ctx)
	if err != nil {
		return false, err
	}
	for _, move := range all {
		for _, name := range claims {
			if move.Claim == name {
				return true, nil
			}
		}
	}
	return false, nil
}

// Confirm says that all is well with volumes that have moved: what they were
// copied from stays for the grace time, and goes.
func (m *Manager) Confirm(ctx context.Context, claims []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.watch.ready() {
		return agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	for _, name := range claims {
		move, moves, err := m.cfg.Ledger.VolumeMove(ctx, m.watch.namespace, name)
		if err != nil {
			return err
		}
		if moves && move.Phase == agent.MoveSwitched {
			if err := m.confirm(ctx, move); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Manager) confirm(ctx context.Context, move store.VolumeMove) error {
	source, err := m.row(ctx, move.Source)
	if err != nil {
		return err
	}
	source.Status, source.KeptUntil, source.Message = agent.VolumeKept, m.cfg.Now().UTC().Add(m.cfg.Grace), ""
	if err := m.cfg.Ledger.EndVolumeMove(ctx, move.Namespace, move.Claim, source); err != nil {
		return err
	}
	m.cfg.Record(ctx, agent.Activity{
		Level: "info", Subject: "volume/" + move.Claim,
		Message: fmt.Sprintf("the volume %s is on %s now; what it was copied from stays on %s until %s (hks volume delete %s --now)",
			move.Claim, m.nodeOf(move.ToNode), m.nodeOf(move.FromNode), source.KeptUntil.Format("2006-01-02 15:04 MST"), source.ID),
	})
	m.cfg.Publish("volume", move.Claim, nil)
	m.nudge()
	return nil
}

func (m *Manager) row(ctx context.Context, id string) (store.Volume, error) {
	v, ok, err := m.cfg.Ledger.Volume(ctx, id)
	if err == nil && !ok {
		err = agent.Errorf(agent.CodeNotFound, "hks volume list shows what there is", "the volume %s is gone", id)
	}
	return v, err
}

// On names the volumes that are in use on a node: it can't go before they do.
func (m *Manager) On(ctx context.Context, node string) ([]string, error) {
	rows, err := m.cfg.Ledger.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range rows {
		if m.nodeOf(v.Node) == node && v.Status != agent.VolumeKept && v.Status != agent.VolumeDeleting {
			names = append(names, v.Claim)
		}
	}
	return names, nil
}

// Where tells which node the claims' volumes are on or go to, by claim; one
// that is not made yet is not among them.
func (m *Manager) Where(ctx context.Context, claims []string) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := map[string]string{}
	if !m.watch.ready() {
		return nil, agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	for _, name := range claims {
		move, moves, err := m.cfg.Ledger.VolumeMove(ctx, m.watch.namespace, name)
		if err != nil {
			return nil, err
		}
		if moves && move.Phase != agent.MoveUndoing {
			at[name] = m.nodeOf(move.ToNode)
			continue
		}
		claim := m.watch.claim(name)
		if claim == nil || claim.Spec.VolumeName == "" {
			continue
		}
		v, there, err := m.cfg.Ledger.Volume(ctx, claim.Spec.VolumeName)
		if err != nil {
			return nil, err
		}
		if there {
			at[name] = m.nodeOf(v.Node)
		} else {
			at[name] = m.cfg.Node // another's class, whose volumes are here
		}
	}
	return at, nil
}

// PlanMove tells how much there is to copy of volumes that would go to a node,
// in bytes, and refuses what could not be done.
func (m *Manager) PlanMove(ctx context.Context, claims []string, node string) (agent.VolumePlan, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.watch.ready() {
		return agent.VolumePlan{}, agent.Errorf(agent.CodeClusterAway, "wait a moment and try again", "the cluster's volumes are not known yet")
	}
	var plan agent.VolumePlan
	var size int64
	for _, name := range claims {
		claim := m.watch.claim(name)
		if claim == nil || claim.Spec.VolumeName == "" {
			continue
		}
		v, there, err := m.cfg.Ledger.Volume(ctx, claim.Spec.VolumeName)
		if err != nil {
			return agent.VolumePlan{}, err
		}
		if !there {
			return agent.VolumePlan{}, agent.Errorf(agent.CodeConflict, "keep its data in a volume of the class "+agent.StorageClass, "%s is of the class %s, whose volumes hks can't carry elsewhere", name, classOf(claim))
		}
		if m.nodeOf(v.Node) == node {
			continue
		}
		if err := m.answers(ctx, v); err != nil {
			return agent.VolumePlan{}, err
		}
		view := m.viewOf(v)
		size += v.Size
		plan.Volumes = append(plan.Volumes, name)
		plan.Bytes += view.UsedBytes
	}
	if len(plan.Volumes) == 0 {
		return plan, nil
	}
	disks, err := m.disksOf(ctx, m.machineOf(node))
	if err != nil {
		return agent.VolumePlan{}, err
	}
	plan.Node = node
	return plan, disks.Room(size)
}

// answers refuses to plan with data on a machine that does not answer: nothing
// can be copied from there.
func (m *Manager) answers(ctx context.Context, v store.Volume) error {
	if v.Node == "" {
		return nil
	}
	disks, err := m.disksOf(ctx, v.Node)
	if err == nil {
		_, err = disks.Exists(v.ID)
	}
	if err != nil {
		return agent.Errorf(agent.CodeConflict, "bring that machine back, or install anew elsewhere and restore a backup", "the data of %s is on %s, which does not answer: %v", v.Claim, v.Node, err)
	}
	return nil
}

func (m *Manager) viewOfMove(move store.VolumeMove) *agent.VolumeMove {
	return &agent.VolumeMove{
		From: m.nodeOf(move.FromNode), To: m.nodeOf(move.ToNode), Phase: move.Phase, Total: move.Total, Copied: move.Copied, Rest: move.Rest,
		Digest: move.Digest, Message: move.Message, BegunAt: move.BegunAt.UTC(),
	}
}

func (m *Manager) nudgeCarry() {
	select {
	case m.haul <- struct{}{}:
	default:
	}
}

// claimBound is the volume that a claim has, as the cluster itself says; ""
// when there is no claim.
func (m *Manager) claimBound(ctx context.Context, namespace, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	claim, err := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err := kube.Explain("looking at the claim "+name, err); agent.CodeOf(err) == agent.CodeNotFound {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if claim.Spec.VolumeName == "" {
		return "none", nil
	}
	return claim.Spec.VolumeName, nil
}

// carryPause is between two looks at the moves.
const carryPause = time.Second
