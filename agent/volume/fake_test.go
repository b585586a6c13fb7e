package volume

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/store"
)

const (
	namespace = "dev-workspace"
	node      = "server"
)

// made is a disk that is only said to be.
type made struct {
	size    int64
	mounted bool
	used    bool // pods have it
	arrives bool // it is not whole yet
	chunks  [4]byte
}

// fakeDisks are disks in memory.
type fakeDisks struct {
	all    map[string]*made
	locked bool // a mounted one can't grow
	fails  error
	silent error // its machine does not answer
	room   int64
}

func (f *fakeDisks) Make(_ context.Context, id string, size int64) error {
	if f.fails != nil {
		return f.fails
	}
	if f.all[id] == nil {
		f.all[id] = &made{size: size}
	}
	return nil
}

func (f *fakeDisks) Mount(_ context.Context, id string) error {
	if f.all[id] == nil {
		return agent.Errorf(agent.CodeNotFound, "", "there is no disk %s", id)
	}
	f.all[id].mounted = true
	return nil
}

func (f *fakeDisks) Grow(_ context.Context, id string, size int64) error {
	d := f.all[id]
	if f.locked && (d.mounted || d.used) {
		return disk.ErrBusy
	}
	d.size = max(d.size, size)
	return nil
}

func (f *fakeDisks) Unmount(id string) error {
	if f.all[id] != nil {
		f.all[id].mounted = false
	}
	return nil
}

func (f *fakeDisks) Idle(id string) (bool, error) {
	d := f.all[id]
	return d == nil || (!d.mounted && !d.used), nil
}

func (f *fakeDisks) Remove(_ context.Context, id string) error {
	if f.all[id] != nil && f.all[id].used {
		return disk.ErrBusy
	}
	delete(f.all, id)
	return nil
}

func (f *fakeDisks) Exists(id string) (bool, error) {
	return f.all[id] != nil && !f.all[id].arrives, f.silent
}

func (f *fakeDisks) Sums(_ context.Context, id string) ([]disk.Sum, error) {
	d := f.all[id]
	if d == nil {
		return nil, agent.Errorf(agent.CodeNotFound, "", "there is no disk %s", id)
	}
	sums := make([]disk.Sum, len(d.chunks))
	for i, c := range d.chunks {
		sums[i][0] = c
	}
	return sums, nil
}

func (f *fakeDisks) ReadChunk(_ context.Context, id string, n int) ([]byte, error) {
	return []byte{f.all[id].chunks[n]}, nil
}

func (f *fakeDisks) Accept(_ context.Context, id string, size int64) error {
	if f.fails != nil {
		return f.fails
	}
	if f.all[id] == nil {
		f.all[id] = &made{size: size, arrives: true}
	}
	return nil
}

func (f *fakeDisks) WriteChunk(_ context.Context, id string, n int, data []byte) error {
	if f.fails != nil {
		return f.fails
	}
	f.all[id].chunks[n] = append(data, 0)[0]
	return nil
}

func (f *fakeDisks) Seal(ctx context.Context, id, digest string) error {
	sums, err := f.Sums(ctx, id)
	if err != nil {
		return err
	}
	if disk.Digest(sums) != digest {
		return agent.Errorf(agent.CodeConflict, "", "the copy is not what was sent")
	}
	f.all[id].arrives = false
	return nil
}
func (f *fakeDisks) Data(id string) string { return "/var/lib/hks/volumes/" + id + "/fs/data" }

func (f *fakeDisks) Fill(id string) (used, size int64, ok bool) {
	d := f.all[id]
	if d == nil || !d.mounted {
		return 0, 0, false
	}
	return d.size / 4, d.size, true
}

func (f *fakeDisks) Room(size int64) error {
	if size > f.room {
		return agent.Errorf(agent.CodeQuotaStorage, "", "this machine's disk has no room")
	}
	return nil
}

// world is a manager on a fake API server; the test plays the scheduler and
// the controller that binds claims.
type world struct {
	t     *testing.T
	m     *Manager
	set   *fake.Clientset
	store *store.Store
	disks *fakeDisks
	far   *fakeDisks // of the node prod-1
	now   time.Time
	plan  agent.Plan
	used  float64
}

func (w *world) Interface() kubernetes.Interface { return w.set }

func (w *world) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{
		Name: namespace, Status: agent.WorkspaceReady, Plan: w.plan,
		Resources: []agent.Resource{{Name: "storage", Unit: "bytes", Used: w.used, Limit: float64(w.plan.StorageBytes)}},
	}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, set: fake.NewClientset(), disks: &fakeDisks{all: map[string]*made{}, room: 1 << 40},
		far: &fakeDisks{all: map[string]*made{}, room: 1 << 40},
		now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), plan: agent.Plan{Name: "hobby", StorageBytes: 10 << 30},
	}
	var err error
	if w.store, err = store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: bytes.Repeat([]byte{7}, 32)}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.restart()
	return w
}

// restart is an agent that died and came back.
func (w *world) restart() {
	w.t.Helper()
	m, err := New(Config{
		Cluster: w, Workspace: w, Disks: w.disks, Ledger: w.store, Node: node, Grace: 7 * 24 * time.Hour, Remote: w.remote,
		FullIn: func(claim string) (time.Duration, bool) { return 50 * time.Hour, claim == "web-staging-app-data" },
		Now:    func() time.Time { return w.now },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.m != nil && w.m.watch != nil {
		w.m.watch.close()
	}
	w.m = m
	w.t.Cleanup(func() {
		if m.watch != nil {
			m.watch.close()
		}
	})
}

func (w *world) remote(_ context.Context, name string) (Disks, error) {
	if name != "prod-1" || w.far == nil {
		return nil, noDisks(name)
	}
	return w.far, nil
}

// turns takes turns until a condition holds.
func (w *world) turns(until func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		pause := pauseIdle
		if err := w.m.turn(w.t.Context(), &pause); err != nil {
			w.t.Fatal(err)
		}
		if until() {
			return
		}
		if time.Now().After(deadline) {
			rows, err := w.store.Volumes(w.t.Context())
			w.t.Fatalf("it does not come to that: %+v %v", rows, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) status(id string) agent.VolumeStatus {
	w.t.Helper()
	v, ok, err := w.store.Volume(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if !ok {
		return "gone"
	}
	return v.Status
}

func (w *world) becomes(id string, status agent.VolumeStatus) {
	w.t.Helper()
	w.turns(func() bool { return w.m.watch.ready() && w.status(id) == status })
}

// claim makes a claim whose pod was placed on this machine.
func (w *world) claim(name, uid, size string) *corev1.PersistentVolumeClaim {
	w.t.Helper()
	class := agent.StorageClass
	claim, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Create(w.t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: types.UID(uid), Annotations: map[string]string{selectedNode: node},
			Labels: map[string]string{agent.LabelApp: "web", agent.LabelEnvironment: "staging", agent.LabelComponent: "app"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return claim
}

// bind is the controller of claims.
func (w *world) bind(name, id string) {
	w.t.Helper()
	claims := w.set.CoreV1().PersistentVolumeClaims(namespace)
	claim, err := claims.Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	claim.Spec.VolumeName = id
	if _, err := claims.Update(w.t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.phase(id, corev1.VolumeBound)
	w.turns(func() bool {
		seen := w.m.watch.claim(name)
		pv := w.m.watch.volume(id)
		return seen != nil && seen.Spec.VolumeName == id && pv != nil && pv.Status.Phase == corev1.VolumeBound
	})
}

func (w *world) phase(id string, phase corev1.PersistentVolumePhase) {
	w.t.Helper()
	volumes := w.set.CoreV1().PersistentVolumes()
	pv, err := volumes.Get(w.t.Context(), id, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	pv.Status.Phase = phase
	if _, err := volumes.UpdateStatus(w.t.Context(), pv, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// made1 is a volume in use, of 1 GiB.
func (w *world) made1(name, uid string) (id string) {
	w.t.Helper()
	id = "pvc-" + uid
	w.claim(name, uid, "1Gi")
	w.becomes(id, agent.VolumeReady)
	w.bind(name, id)
	return id
}

// drop is somebody who deletes a claim, and the controller that sees it.
func (w *world) drop(name, id string) {
	w.t.Helper()
	if err := w.set.CoreV1().PersistentVolumeClaims(namespace).Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.phase(id, corev1.VolumeReleased)
}
