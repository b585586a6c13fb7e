package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Bounds of the copy while a volume is in use.
const (
	fewBytes   = 16 << 20 // so much may be left for the pause
	mostPasses = 5        // then what is left is left
	tellEach   = 64       // chunks between two notes of how far it is
)

// carry copies what is to move, until ctx ends. What it did is in the ledger:
// it goes on at the next start where it was.
func (m *Manager) carry(ctx context.Context) {
	for {
		moves, err := m.cfg.Ledger.VolumeMoves(ctx)
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "looking for volumes that move", "error", err)
		}
		for _, move := range moves {
			err := m.advance(ctx, move)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !errors.Is(err, errMoved) {
				m.cfg.Log.WarnContext(ctx, "moving a volume, trying again", "volume", move.Claim, "phase", move.Phase, "error", err)
				if err := m.noteMove(ctx, move, err.Error()); err != nil {
					m.cfg.Log.WarnContext(ctx, "noting what is in the way of a volume's move", "volume", move.Claim, "error", err)
				}
			}
		}
		timer := time.NewTimer(carryPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.haul:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// errMoved says that somebody has changed the move meanwhile.
var errMoved = errors.New("the move is another one now")

// advance does for one move what is next.
func (m *Manager) advance(ctx context.Context, move store.VolumeMove) error {
	switch move.Phase {
	case agent.MoveCopying:
		return m.copyOnline(ctx, move)
	case agent.MoveSwitching:
		return m.switchOver(ctx, move)
	case agent.MoveSwitched:
		return m.settleSwitched(ctx, move)
	case agent.MoveUndoing:
		return m.undo(ctx, move)
	case agent.MoveCopied:
		return m.dropOrphan(ctx, move)
	}
	return fmt.Errorf("the move of %s has an unknown phase %q", move.Claim, move.Phase)
}

// changeMove reads a move that is in the phase it was in, has it changed and
// writes it with the volumes that change with it.
func (m *Manager) changeMove(ctx context.Context, was store.VolumeMove, with func(now *store.VolumeMove) ([]store.Volume, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ok, err := m.cfg.Ledger.VolumeMove(ctx, was.Namespace, was.Claim)
	if err != nil {
		return err
	}
	if !ok || now.Target != was.Target || now.Phase != was.Phase {
		return errMoved
	}
	volumes, err := with(&now)
	if err != nil {
		return err
	}
	if err := m.cfg.Ledger.PutVolumeMove(ctx, now, volumes...); err != nil {
		return err
	}
	m.cfg.Publish("volume", now.Claim, nil)
	return nil
}

func (m *Manager) noteMove(ctx context.Context, move store.VolumeMove, message string) error {
	err := m.changeMove(ctx, move, func(now *store.VolumeMove) ([]store.Volume, error) {
		now.Message = message
		return nil, nil
	})
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}

// sides are the two ends of a move.
func (m *Manager) sides(ctx context.Context, move store.VolumeMove) (from, to Disks, source store.Volume, err error) {
	if from, err = m.disksOf(ctx, move.FromNode); err != nil {
		return nil, nil, store.Volume{}, err
	}
	if to, err = m.disksOf(ctx, move.ToNode); err != nil {
		return nil, nil, store.Volume{}, err
	}
	source, err = m.row(ctx, move.Source)
	return from, to, source, err
}

// copyOnline copies a volume that is in use, again and again what has changed
// meanwhile, until little is left.
func (m *Manager) copyOnline(ctx context.Context, move store.VolumeMove) error {
	if gone, err := m.abandoned(ctx, move); gone || err != nil {
		return err
	}
	from, to, source, err := m.sides(ctx, move)
	if err != nil {
		return err
	}
	if err := to.Accept(ctx, move.Target, source.Size); err != nil {
		return err
	}
	var sent int64
	for range mostPasses {
		if sent, _, err = m.pass(ctx, move, from, to); err != nil {
			return err
		}
		if sent <= fewBytes {
			break
		}
	}
	return m.changeMove(ctx, move, func(now *store.VolumeMove) ([]store.Volume, error) {
		now.Phase, now.Rest, now.Message = agent.MoveCopied, sent, ""
		return nil, nil
	})
}

// abandoned gives a move up whose claim is gone.
func (m *Manager) abandoned(ctx context.Context, move store.VolumeMove) (bool, error) {
	bound, err := m.claimBound(ctx, move.Namespace, move.Claim)
	if err != nil || bound == move.Source {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return true, m.giveUp(ctx, move)
}

func (m *Manager) dropOrphan(ctx context.Context, move store.VolumeMove) error {
	_, err := m.abandoned(ctx, move)
	return err
}

// pass copies each chunk that differs, and returns how many bytes those were
// and the digest of what was read.
func (m *Manager) pass(ctx context.Context, move store.VolumeMove, from, to Disks) (sent int64, digest string, err error) {
	have, err := from.Sums(ctx, move.Source)
	if err != nil {
		return 0, "", err
	}
	there, err := to.Sums(ctx, move.Target)
	if err != nil {
		return 0, "", err
	}
	if len(have) != len(there) {
		return 0, "", fmt.Errorf("the two sides of %s have %d and %d chunks", move.Claim, len(have), len(there))
	}
	var differ []int
	var total int64
	for i := range have {
		if have[i] != (disk.Sum{}) {
			total += disk.Chunk
		}
		if have[i] != there[i] {
			differ = append(differ, i)
		}
	}
	tell := func(left int) error {
		return m.changeMove(ctx, move, func(now *store.VolumeMove) ([]store.Volume, error) {
			now.Total, now.Rest, now.Digest = total, int64(left)*disk.Chunk, disk.Digest(have)
			now.Copied = max(total-now.Rest, 0)
			return nil, nil
		})
	}
	for done, n := range differ {
		if done%tellEach == 0 {
			if err := tell(len(differ) - done); err != nil {
				return 0, "", err
			}
		}
		var data []byte
		if have[n] != (disk.Sum{}) {
			if data, err = from.ReadChunk(ctx, move.Source, n); err != nil {
				return 0, "", err
			}
		}
		if err := to.WriteChunk(ctx, move.Target, n, data); err != nil {
			return 0, "", err
		}
	}
	return int64(len(differ)) * disk.Chunk, disk.Digest(have), tell(0)
}

// switchOver copies what is left of a volume that nobody uses any more, holds
// the copy against it, and gives the claim's name to the copy. Until that is
// written down the claim's own volume is untouched.
func (m *Manager) switchOver(ctx context.Context, move store.VolumeMove) error {
	from, to, _, err := m.sides(ctx, move)
	if err != nil {
		return err
	}
	if err := from.Unmount(move.Source); errors.Is(err, disk.ErrBusy) {
		return m.noteMove(ctx, move, "waits until its last instance has let go of it")
	} else if err != nil {
		return err
	}
	if idle, err := from.Idle(move.Source); err != nil {
		return err
	} else if !idle {
		return m.noteMove(ctx, move, "waits until its last instance has let go of it")
	}
	if err := m.seal(ctx, move, from, to); err != nil {
		return err
	}
	if waits, err := m.dropClaim(ctx, move, move.Source); waits || err != nil {
		return err
	}
	err = m.changeMove(ctx, move, func(now *store.VolumeMove) ([]store.Volume, error) {
		target, err := m.row(ctx, move.Target)
		if err != nil {
			return nil, err
		}
		now.Phase, now.Message, now.Rest = agent.MoveSwitched, "", 0
		target.Status, target.Message = agent.VolumeRestoring, ""
		return []store.Volume{target}, nil
	})
	m.nudge()
	return err
}

// seal makes the copy whole and compares it.
func (m *Manager) seal(ctx context.Context, move store.VolumeMove, from, to Disks) error {
	sealed, err := to.Exists(move.Target)
	if err != nil {
		return err
	}
	var digest string
	if sealed {
		sums, err := from.Sums(ctx, move.Source)
		if err != nil {
			return err
		}
		digest = disk.Digest(sums)
	} else if _, digest, err = m.pass(ctx, move, from, to); err != nil {
		return err
	}
	return to.Seal(ctx, move.Target, digest)
}

// dropClaim takes a claim away that has a volume, with its PersistentVolume;
// the disk stays. Waits says that it is not gone yet.
func (m *Manager) dropClaim(ctx context.Context, move store.VolumeMove, id string) (waits bool, err error) {
	bound, err := m.claimBound(ctx, move.Namespace, move.Claim)
	if err != nil {
		return false, err
	}
	if bound == id || bound == "none" {
		claims := m.cfg.Cluster.Interface().CoreV1().PersistentVolumeClaims(move.Namespace)
		if err := kube.Delete(ctx, claims, "taking the claim "+move.Claim+" off its volume", move.Claim); err != nil {
			return false, err
		}
		if bound, err = m.claimBound(ctx, move.Namespace, move.Claim); err != nil {
			return false, err
		}
		if bound == id || bound == "none" {
			return true, m.noteMove(ctx, move, "waits until no instance has the claim any more")
		}
	}
	return false, kube.Delete(ctx, m.cfg.Cluster.Interface().CoreV1().PersistentVolumes(), "taking the volume of "+move.Claim+" away", id)
}

// settleSwitched looks whether what has arrived was let go of by its owner:
// then nobody will confirm the move.
func (m *Manager) settleSwitched(ctx context.Context, move store.VolumeMove) error {
	target, ok, err := m.cfg.Ledger.Volume(ctx, move.Target)
	if err != nil {
		return err
	}
	if ok && target.Status != agent.VolumeKept && target.Status != agent.VolumeDeleting {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.confirm(ctx, move)
}

// undo gives the claim's name back to what it was copied from. What was
// written to the copy since is lost, and the copy with it.
func (m *Manager) undo(ctx context.Context, move store.VolumeMove) error {
	bound, err := m.claimBound(ctx, move.Namespace, move.Claim)
	if err != nil {
		return err
	}
	if bound == move.Source {
		source, err := m.row(ctx, move.Source)
		if err != nil {
			return err
		}
		if source.Status == agent.VolumeMoving {
			source.Status = agent.VolumeReady
		}
		if source.Status != agent.VolumeReady {
			return nil // it is on its way
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		target, err := m.row(ctx, move.Target)
		if err != nil {
			return err
		}
		target.Status = agent.VolumeDeleting
		m.cfg.Record(ctx, agent.Activity{Level: "warning", Subject: "volume/" + move.Claim, Message: fmt.Sprintf("the volume %s is on %s again", move.Claim, m.nodeOf(move.FromNode))})
		m.nudge()
		return m.cfg.Ledger.EndVolumeMove(ctx, move.Namespace, move.Claim, source, target)
	}
	if target, err := m.row(ctx, move.Target); err != nil {
		return err
	} else if target.Status != agent.VolumeMoving { // else a turn would make the claim anew
		if err := m.changeMove(ctx, move, func(*store.VolumeMove) ([]store.Volume, error) {
			target.Status = agent.VolumeMoving
			return []store.Volume{target}, nil
		}); err != nil {
			return err
		}
	}
	if waits, err := m.dropClaim(ctx, move, move.Target); waits || err != nil {
		return err
	}
	err = m.changeMove(ctx, move, func(*store.VolumeMove) ([]store.Volume, error) {
		source, err := m.row(ctx, move.Source)
		if err != nil {
			return nil, err
		}
		source.Status = agent.VolumeRestoring
		return []store.Volume{source}, nil
	})
	m.nudge()
	return err
}
