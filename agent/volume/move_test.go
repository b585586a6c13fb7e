package volume

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/store"
)

const moved = "web-staging-app-data"

// move is that of the only claim; ok is false when there is none.
func (w *world) move() (store.VolumeMove, bool) {
	w.t.Helper()
	move, ok, err := w.store.VolumeMove(w.t.Context(), namespace, moved)
	if err != nil {
		w.t.Fatal(err)
	}
	return move, ok
}

// carried does for the move what is next, once.
func (w *world) carried() {
	w.t.Helper()
	if move, ok := w.move(); ok {
		if err := w.m.advance(w.t.Context(), move); err != nil && !errors.Is(err, errMoved) {
			w.t.Fatalf("%s: %v", move.Phase, err)
		}
	}
}

// settled sees the watch ready after a restart, and what it knows of the claim.
func (w *world) settled() {
	w.t.Helper()
	w.turns(func() bool { return w.m.watch.ready() })
}

// brought plays the owner until its volume is there, with a restart of the
// agent at every step when killed is set.
func (w *world) brought(to string, killed bool) {
	w.t.Helper()
	for range 100 {
		if killed {
			w.restart()
		}
		w.settled()
		is, err := w.m.Bring(w.t.Context(), []string{moved}, to, false)
		if err != nil {
			w.t.Fatal(err)
		}
		if is.Stop { // the owner ends its pods
			w.set1(false)
			if is, err = w.m.Bring(w.t.Context(), []string{moved}, to, true); err != nil {
				w.t.Fatal(err)
			}
		}
		if is.Done && w.volume() != "" {
			return
		}
		w.carried()
	}
	move, _ := w.move()
	w.t.Fatalf("it does not get there: %+v", move)
}

// set1 begins or ends the use of all disks.
func (w *world) set1(used bool) {
	for _, disks := range []*fakeDisks{w.disks, w.far} {
		for _, d := range disks.all {
			d.used = used && d.mounted
		}
	}
}

// volume is the volume that the claim has.
func (w *world) volume() string {
	w.t.Helper()
	id, err := w.m.claimBound(w.t.Context(), namespace, moved)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestA87VolumeMovesToANodeAndBack(t *testing.T) {
	for name, killed := range map[string]bool{"in one go": false, "killed at each step": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.made1(moved, "1")
			w.disks.all[id].chunks = [4]byte{0, 7, 0, 9}
			w.set1(true)
			w.brought("prod-1", killed)
			there := w.volume()
			if there == id || w.far.all[there] == nil || w.far.all[there].chunks != [4]byte{0, 7, 0, 9} || !w.far.all[there].mounted {
				t.Fatalf("the claim has %s, there are %+v", there, w.far.all)
			}
			pv, err := w.set.CoreV1().PersistentVolumes().Get(t.Context(), there, metav1.GetOptions{})
			if err != nil || pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0] != "prod-1" {
				t.Fatalf("its PersistentVolume: %+v %v", pv, err)
			}
			if w.status(id) != agent.VolumeMoving || w.disks.all[id] == nil {
				t.Errorf("before it is confirmed the source is %s", w.status(id))
			}
			if err := w.m.Confirm(t.Context(), []string{moved}); err != nil {
				t.Fatal(err)
			}
			if w.status(id) != agent.VolumeKept {
				t.Errorf("after that it is %s", w.status(id))
			}
			w.phase(there, corev1.VolumeBound)
			w.far.all[there].chunks[0] = 5 // written there
			w.set1(true)
			w.turns(func() bool { claim := w.m.watch.claim(moved); return claim != nil && claim.Spec.VolumeName == there })
			w.brought(node, killed)
			back := w.volume()
			if back == there || back == id || w.disks.all[back].chunks != [4]byte{5, 7, 0, 9} {
				t.Errorf("back again the claim has %s: %+v", back, w.disks.all[back])
			}
		})
	}
}

func TestA83MoveOfAVolumeIsUndoneAtEachPhase(t *testing.T) {
	for _, phase := range []agent.VolumeMovePhase{agent.MoveCopying, agent.MoveCopied, agent.MoveSwitching, agent.MoveSwitched} {
		t.Run(string(phase), func(t *testing.T) {
			w := newWorld(t)
			id := w.made1(moved, "1")
			w.disks.all[id].chunks = [4]byte{1, 2, 3, 4}
			w.settled()
			for range 50 {
				if _, err := w.m.Bring(t.Context(), []string{moved}, "prod-1", phase == agent.MoveSwitching || phase == agent.MoveSwitched); err != nil {
					t.Fatal(err)
				}
				if move, _ := w.move(); move.Phase == phase {
					break
				}
				w.carried()
			}
			if move, _ := w.move(); move.Phase != phase {
				t.Fatalf("it is %s", move.Phase)
			}
			for range 50 {
				w.restart()
				w.settled()
				done, err := w.m.Undo(t.Context(), []string{moved})
				if err != nil {
					t.Fatal(err)
				}
				if done {
					break
				}
				w.carried()
			}
			if is, err := w.m.Moving(t.Context(), []string{moved}); err != nil || is {
				t.Fatalf("it still moves: %v %v", is, err)
			}
			if w.volume() != id || w.disks.all[id].chunks != [4]byte{1, 2, 3, 4} {
				t.Errorf("the claim has %s: %+v", w.volume(), w.disks.all)
			}
			w.phase(id, corev1.VolumeBound)
			w.turns(func() bool { return len(w.far.all) == 0 && w.status(id) == agent.VolumeReady })
		})
	}
}

func TestA87MoveThatCantBe(t *testing.T) {
	w := newWorld(t)
	id := w.made1(moved, "1")
	if _, err := w.m.Bring(t.Context(), []string{moved}, "nowhere", false); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("to a node without disks: %v", err)
	}
	w.far.room = 1 << 20
	if _, err := w.m.Bring(t.Context(), []string{moved}, "prod-1", false); agent.CodeOf(err) != agent.CodeQuotaStorage {
		t.Errorf("to a full one: %v", err)
	}
	if _, err := w.m.PlanMove(t.Context(), []string{moved}, "prod-1"); agent.CodeOf(err) != agent.CodeQuotaStorage {
		t.Errorf("the plan of that: %v", err)
	}
	w.far.room = 1 << 40
	plan, err := w.m.PlanMove(t.Context(), []string{moved}, "prod-1")
	if err != nil || plan.Bytes != 1<<28 || plan.Node != "prod-1" {
		t.Errorf("the plan: %+v %v", plan, err)
	}
	w.far.fails = errors.New("the link is down")
	if _, err := w.m.Bring(t.Context(), []string{moved}, "prod-1", false); err != nil {
		t.Fatal(err)
	}
	move, _ := w.move()
	if err := w.m.advance(t.Context(), move); err == nil {
		t.Error("a copy over no link has succeeded")
	}
	if w.status(id) != agent.VolumeReady || !w.disks.all[id].mounted {
		t.Errorf("meanwhile the volume is %s", w.status(id))
	}
	if on, err := w.m.On(t.Context(), node); err != nil || len(on) != 1 {
		t.Errorf("on the appliance's machine: %v %v", on, err)
	}
}

func TestDamagedCopyIsNotTaken(t *testing.T) {
	w := newWorld(t)
	id := w.made1(moved, "1")
	w.disks.all[id].chunks = [4]byte{1, 2, 3, 4}
	for range 10 {
		if _, err := w.m.Bring(t.Context(), []string{moved}, "prod-1", true); err != nil {
			t.Fatal(err)
		}
		if move, _ := w.move(); move.Phase == agent.MoveSwitching {
			break
		}
		w.carried()
	}
	move, _ := w.move()
	w.far.all[move.Target].arrives = false // it says to be whole, and is not
	w.far.all[move.Target].chunks[2]++
	if err := w.m.advance(t.Context(), move); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("it was taken: %v", err)
	}
	if w.volume() != id {
		t.Errorf("the claim has %s", w.volume())
	}
}

func TestA89DataOnALostNodeIsNotPromised(t *testing.T) {
	w := newWorld(t)
	w.made1(moved, "1")
	w.brought("prod-1", false)
	there := w.volume()
	w.phase(there, corev1.VolumeBound)
	if err := w.m.Confirm(t.Context(), []string{moved}); err != nil {
		t.Fatal(err)
	}
	w.turns(func() bool { claim := w.m.watch.claim(moved); return claim != nil && claim.Spec.VolumeName == there })
	if _, err := w.m.PlanMove(t.Context(), []string{moved}, node); err != nil {
		t.Errorf("while it answers: %v", err)
	}
	w.far.silent = agent.Errorf(agent.CodeClusterAway, "", "the disks of prod-1 can't be reached")
	if _, err := w.m.PlanMove(t.Context(), []string{moved}, node); agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "which does not answer") {
		t.Errorf("a copy from a lost machine is planned: %v", err)
	}
	if on, err := w.m.On(t.Context(), "prod-1"); err != nil || len(on) != 1 {
		t.Errorf("what would go with it: %v %v", on, err)
	}
}

var _ Copies = (*disk.Remote)(nil)
