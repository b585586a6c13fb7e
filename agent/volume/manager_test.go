package volume

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

func TestAClaimGetsItsVolume(t *testing.T) {
	w := newWorld(t)
	w.claim("web-staging-app-data", "1", "1Gi")
	w.becomes("pvc-1", agent.VolumeReady)
	if d := w.disks.all["pvc-1"]; d == nil || !d.mounted || d.size != 1<<30 {
		t.Errorf("the disk: %+v", d)
	}
	pv, err := w.set.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pv.Spec.Local == nil || pv.Spec.Local.Path != "/var/lib/hks/volumes/pvc-1/fs/data" || pv.Spec.ClaimRef.Name != "web-staging-app-data" || pv.Spec.ClaimRef.UID != "1" {
		t.Errorf("got %+v", pv.Spec)
	}
	terms := pv.Spec.NodeAffinity.Required.NodeSelectorTerms
	if len(terms) != 1 || terms[0].MatchExpressions[0].Values[0] != node || pv.Annotations[provisionedBy] != agent.VolumeProvisioner {
		t.Errorf("got %+v %v", terms, pv.Annotations)
	}
	list, err := w.m.List(t.Context())
	if err != nil || len(list) != 1 || list[0].App != "web" || list[0].Component != "app" || list[0].UsedBytes != 1<<28 || list[0].FullIn != 50*3600 {
		t.Errorf("listed: %+v %v", list, err)
	}
}

func TestOnlyClaimsOfOurClassForThisMachine(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.claim("elsewhere", "1", "1Gi")
	elsewhere.Annotations[selectedNode] = "other"
	foreign := w.claim("foreign", "2", "1Gi")
	class := "local-path"
	foreign.Spec.StorageClassName = &class
	waiting := w.claim("waiting", "3", "1Gi")
	delete(waiting.Annotations, selectedNode)
	for _, claim := range []*corev1.PersistentVolumeClaim{elsewhere, foreign, waiting} {
		if _, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.claim("ours", "4", "1Gi")
	w.becomes("pvc-4", agent.VolumeReady)
	if len(w.disks.all) != 1 {
		t.Errorf("disks: %v", w.disks.all)
	}
}

func TestAFailureIsToldAndMendsItself(t *testing.T) {
	w := newWorld(t)
	w.disks.fails = errors.New("the machine's disk has no room")
	w.claim("web-staging-app-data", "1", "1Gi")
	w.turns(func() bool {
		v, err := w.m.Get(t.Context(), "web-staging-app-data")
		return err == nil && v.Status == agent.VolumeMaking && strings.Contains(v.Message, "no room")
	})
	w.disks.fails = nil
	w.becomes("pvc-1", agent.VolumeReady)
	if v, err := w.m.Get(t.Context(), "web-staging-app-data"); err != nil || v.Message != "" {
		t.Errorf("got %+v %v", v, err)
	}
}

func TestA96AnInterruptedMakingIsFinished(t *testing.T) {
	w := newWorld(t)
	claim := w.claim("web-staging-app-data", "1", "1Gi")
	w.turns(func() bool { return w.m.watch.claim(claim.Name) != nil })
	w.restart()
	w.becomes("pvc-1", agent.VolumeReady)

	// One whose claim went meanwhile is cleaned up.
	row, _, err := w.store.Volume(t.Context(), "pvc-1")
	if err != nil {
		t.Fatal(err)
	}
	row.ID, row.Claim, row.UID, row.Status = "pvc-9", "gone", "9", agent.VolumeMaking
	if err := w.store.PutVolume(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	w.disks.all["pvc-9"] = &made{size: 1}
	w.restart()
	w.becomes("pvc-9", "gone")
	if w.disks.all["pvc-9"] != nil || w.disks.all["pvc-1"] == nil {
		t.Errorf("disks: %v", w.disks.all)
	}
}

func TestAllAreMountedBeforeTheEngineStarts(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	w.disks.all[id].mounted = false
	w.restart()
	if err := w.m.Mount(t.Context()); err != nil || !w.disks.all[id].mounted {
		t.Errorf("%v %+v", err, w.disks.all[id])
	}
	delete(w.disks.all, id) // one that is lost keeps nobody from starting
	w.restart()
	if err := w.m.Mount(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := w.m.Get(t.Context(), id); err != nil || !strings.Contains(v.Message, "no disk") {
		t.Errorf("%+v %v", v, err)
	}
}

func TestGrowingOnline(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	v, err := w.m.Resize(t.Context(), "web-staging-app-data", "2Gi", "owner")
	if err != nil || v.Status != agent.VolumeGrowing || v.AskedSize != 2<<30 || v.SizeBytes != 1<<30 {
		t.Fatalf("%+v %v", v, err)
	}
	w.becomes(id, agent.VolumeReady)
	w.is(id, 2<<30)
}

// is holds all who know a volume's size to it.
func (w *world) is(id string, size int64) {
	w.t.Helper()
	row, _, err := w.store.Volume(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	pv, err := w.set.CoreV1().PersistentVolumes().Get(w.t.Context(), id, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	claim, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Get(w.t.Context(), row.Claim, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	disk := w.disks.all[id]
	if disk.size != size || !disk.mounted || row.Size != size || row.Asked != size || pv.Spec.Capacity.Storage().Value() != size || claim.Status.Capacity.Storage().Value() != size || requested(claim) != size {
		w.t.Errorf("disk %+v, row %+v, volume %v, claim %v of %v", disk, row, pv.Spec.Capacity.Storage(), claim.Status.Capacity.Storage(), requested(claim))
	}
}

func TestGrowingWhereTheKernelDoesNotLetUs(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	w.disks.locked, w.disks.all[id].used = true, true
	if _, err := w.m.Resize(t.Context(), id, "2Gi", "owner"); err != nil {
		t.Fatal(err)
	}
	w.turns(func() bool {
		v, err := w.m.Get(t.Context(), id)
		return err == nil && v.Message == waitsForEnd
	})
	if w.disks.all[id].mounted {
		t.Error("the next pod could start before it has grown")
	}
	w.restart()
	if err := w.m.Mount(t.Context()); err != nil || w.disks.all[id].mounted {
		t.Errorf("a restart of the agent mounts it: %v", err)
	}
	w.disks.all[id].used = false // its instance ends
	w.becomes(id, agent.VolumeReady)
	w.is(id, 2<<30)
}

func TestResizeRefusals(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	w.used = 1 << 30
	for size, want := range map[string]string{"512Mi": "can't shrink", "lots": "not the size", "-1Gi": "not the size", "1Ki": "not the size", "11Gi": "1 GiB of the hobby plan's 10 GiB are used"} {
		_, err := w.m.Resize(t.Context(), id, size, "owner")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", size, err)
		}
	}
	w.disks.room = 0
	if _, err := w.m.Resize(t.Context(), id, "2Gi", "owner"); agent.CodeOf(err) != agent.CodeQuotaStorage {
		t.Errorf("without room: %v", err)
	}
	if w.status(id) != agent.VolumeReady {
		t.Error("a refused growth was begun")
	}
	if _, err := w.m.Resize(t.Context(), "other", "2Gi", "owner"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("of none: %v", err)
	}
}

func TestA19AVolumeWithoutAClaimIsKeptAndRestored(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	w.drop("web-staging-app-data", id)
	w.becomes(id, agent.VolumeKept)
	w.turns(func() bool { return !w.disks.all[id].mounted && w.m.watch.volume(id) == nil })
	v, err := w.m.Get(t.Context(), "web-staging-app-data")
	if err != nil || !v.KeptUntil.Equal(w.now.Add(7*24*time.Hour)) {
		t.Fatalf("%+v %v", v, err)
	}
	w.now = w.now.Add(6 * 24 * time.Hour)
	w.restart()
	if err := w.m.Mount(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.becomes(id, agent.VolumeKept)
	if _, err := w.m.Restore(t.Context(), "web-staging-app-data", "owner"); err != nil {
		t.Fatal(err)
	}
	w.becomes(id, agent.VolumeReady)
	claim, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), "web-staging-app-data", metav1.GetOptions{})
	if err != nil || claim.Spec.VolumeName != id || claim.Labels[agent.LabelApp] != "web" || requested(claim) != 1<<30 || !w.disks.all[id].mounted {
		t.Errorf("%+v %v", claim, err)
	}
	w.bind("web-staging-app-data", id)
	w.now = w.now.Add(30 * 24 * time.Hour)
	w.becomes(id, agent.VolumeReady)
}

func TestAfterTheGraceItGoes(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	other := w.made1("web-staging-app-other", "2")
	w.drop("web-staging-app-data", id)
	w.becomes(id, agent.VolumeKept)
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.becomes(id, "gone")
	if w.disks.all[id] != nil || w.disks.all[other] == nil || w.status(other) != agent.VolumeReady {
		t.Errorf("disks: %v", w.disks.all)
	}
}

func TestA19AClaimThatIsKeptGoesAfterItsGrace(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	v, err := w.m.Delete(t.Context(), "web-staging-app-data", false, "owner")
	if err != nil || v.Status != agent.VolumeKept {
		t.Fatalf("%+v %v", v, err)
	}
	w.turns(func() bool {
		v, err := w.m.Get(t.Context(), id)
		return err == nil && v.Status == agent.VolumeKept && v.KeptUntil.Equal(w.now.Add(7*24*time.Hour))
	})
	if _, err := w.m.Delete(t.Context(), id, false, "owner"); err == nil || !strings.Contains(err.Error(), "goes by itself") {
		t.Errorf("again: %v", err)
	}
	if _, err := w.m.Restore(t.Context(), id, "owner"); err != nil {
		t.Fatal(err)
	}
	w.turns(func() bool {
		v, err := w.m.Get(t.Context(), id)
		return err == nil && v.Status == agent.VolumeReady
	})
	if _, err := w.m.Delete(t.Context(), id, false, "owner"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.turns(func() bool {
		_, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), "web-staging-app-data", metav1.GetOptions{})
		return err != nil
	})
	w.phase(id, corev1.VolumeReleased)
	w.becomes(id, "gone")
	if len(w.disks.all) > 0 {
		t.Errorf("disks: %v", w.disks.all)
	}
}

func TestAnOlderLedgerLearnsOfItsVolumes(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	if err := w.store.ForgetVolume(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.disks.all[id].mounted = false
	w.restart()
	w.becomes(id, agent.VolumeReady)
	w.turns(func() bool { return w.disks.all[id].mounted })
	if row, _, err := w.store.Volume(t.Context(), id); err != nil || row.Size != 1<<30 || row.Labels[agent.LabelApp] != "web" {
		t.Errorf("%+v %v", row, err)
	}
}

func TestDeleteNow(t *testing.T) {
	w := newWorld(t)
	id := w.made1("web-staging-app-data", "1")
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: namespace},
		Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "web-staging-app-data"},
		}}}},
	}
	if _, err := w.set.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Delete(t.Context(), id, true, "owner"); err == nil || !strings.Contains(err.Error(), "in use by the instance web-1") {
		t.Errorf("one in use: %v", err)
	}
	if err := w.set.CoreV1().Pods(namespace).Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Delete(t.Context(), id, true, "owner"); err != nil {
		t.Fatal(err)
	}
	w.phase(id, corev1.VolumeReleased)
	w.disks.all[id].used = true // the node is not done with it yet
	w.becomes(id, agent.VolumeDeleting)
	w.disks.all[id].used = false
	w.becomes(id, "gone")
}

func TestOneNameTwice(t *testing.T) {
	w := newWorld(t)
	first := w.made1("web-staging-app-data", "1")
	w.drop("web-staging-app-data", first)
	w.becomes(first, agent.VolumeKept)
	w.turns(func() bool { return w.m.watch.claim("web-staging-app-data") == nil })
	second := w.made1("web-staging-app-data", "2")
	if v, err := w.m.Get(t.Context(), "web-staging-app-data"); err != nil || v.ID != second {
		t.Errorf("by name: %+v %v", v, err)
	}
	if _, err := w.m.Restore(t.Context(), first, "owner"); err == nil || !strings.Contains(err.Error(), "another volume called") {
		t.Errorf("over another: %v", err)
	}
	if _, err := w.m.Delete(t.Context(), first, true, "owner"); err != nil {
		t.Fatal(err)
	}
	w.becomes(first, "gone")
	if w.status(second) != agent.VolumeReady || w.disks.all[second] == nil {
		t.Error("the wrong one went")
	}
}

func TestServicesKeepTheirOwn(t *testing.T) {
	w := newWorld(t)
	claim := w.claim("db-data", "1", "1Gi")
	claim.Labels = map[string]string{agent.LabelInstance: "db"}
	if _, err := w.set.CoreV1().PersistentVolumeClaims(namespace).Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.becomes("pvc-1", agent.VolumeReady)
	w.bind("db-data", "pvc-1")
	if _, err := w.m.Resize(t.Context(), "db-data", "2Gi", "owner"); err == nil || !strings.Contains(err.Error(), "belongs to the service db") {
		t.Errorf("resize: %v", err)
	}
	if _, err := w.m.Delete(t.Context(), "db-data", true, "owner"); err == nil || !strings.Contains(err.Error(), "belongs to the service db") {
		t.Errorf("delete: %v", err)
	}
	if err := w.m.Discard(t.Context(), namespace, "db-data"); err != nil {
		t.Fatal(err)
	}
	w.phase("pvc-1", corev1.VolumeReleased)
	w.becomes("pvc-1", "gone")
	if err := w.m.Discard(t.Context(), namespace, "db-data"); err != nil {
		t.Errorf("again: %v", err)
	}
}
