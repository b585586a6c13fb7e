package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// keeping is a component with one volume.
func keeping(image, size string) agent.Deploy {
	return agent.Deploy{Components: []agent.Component{{
		Name: "web", Image: image, Port: 8080, Path: "/", Volumes: []agent.ComponentVolume{{Name: "data", Path: "/data", Size: size}},
	}}}
}

func (w *world) claims() []corev1.PersistentVolumeClaim {
	w.t.Helper()
	list, err := w.set.CoreV1().PersistentVolumeClaims(testNamespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) servedWeb(d agent.Deploy) agent.Release {
	w.t.Helper()
	r := w.deploy(d)
	settle()
	w.serveOf("web")
	return r
}

// roomy is a world with storage in its plan.
func roomy(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.workspace.Plan.StorageBytes = 10 << 30
	return w
}

// claimHas holds the only claim to its size.
func (w *world) claimHas(size string) corev1.PersistentVolumeClaim {
	w.t.Helper()
	claims := w.claims()
	if len(claims) != 1 {
		w.t.Fatalf("there are %d claims", len(claims))
	}
	if got := claims[0].Spec.Resources.Requests.Storage().String(); got != size {
		w.t.Errorf("the claim has %s, want %s", got, size)
	}
	return claims[0]
}

func TestVolumesAreMadeBeforeTheInstancesAndOnlyGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := roomy(t)
		w.servedWeb(keeping("web:1", "1Gi"))
		claim := w.claimHas("1Gi")
		if claim.Name != "web-staging-web-data" || *claim.Spec.StorageClassName != agent.StorageClass || claim.Labels[agent.LabelApp] != "web" || claim.Labels[agent.LabelComponent] != "web" {
			t.Errorf("got %+v", claim)
		}
		d := w.deploymentOf("web")
		pod := d.Spec.Template.Spec
		if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || len(pod.Volumes) != 1 || pod.Volumes[0].PersistentVolumeClaim.ClaimName != claim.Name || pod.Containers[0].VolumeMounts[0].MountPath != "/data" {
			t.Errorf("%v %+v %+v", d.Spec.Strategy, pod.Volumes, pod.Containers[0].VolumeMounts)
		}
		w.servedWeb(keeping("web:2", "2Gi"))
		w.claimHas("2Gi")
		if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, keeping("web:1", "1Gi"), "owner"); err == nil || !strings.Contains(err.Error(), "can't shrink") {
			t.Errorf("smaller: %v", err)
		}
		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 1, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.serveOf("web")
		w.claimHas("2Gi")
	})
}

func TestA15VolumesAreRefusedBeforeAnythingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.workspace.Plan.Name, w.workspace.Plan.StorageBytes = "hobby", 10<<30
		w.workspace.Resources = []agent.Resource{{Name: "storage", Unit: "bytes", Used: 8 << 30, Limit: 10 << 30}}
		w.m.cfg.Nodes = machines{shared(), dedicated("prod-1", 8<<30)}
		two := keeping("web:1", "1Gi")
		two.Replicas = map[string]agent.Scale{"web": agent.Fixed(2)}
		twice := keeping("web:1", "1Gi")
		twice.Components[0].Volumes = append(twice.Components[0].Volumes, agent.ComponentVolume{Name: "more", Path: "/data", Size: "1Gi"})
		place := keeping("web:1", "1Gi")
		place.Components[0].Volumes[0].Path = "/proc"
		for name, tt := range map[string]struct {
			deploy agent.Deploy
			want   string
		}{
			"over the plan": {keeping("web:1", "3Gi"), "web/staging asks for 3 GiB of storage; 8 GiB of the hobby plan's 10 GiB are used"},
			"instances":     {two, "can't have 2 instances"},
			"size":          {keeping("web:1", "lots"), "is not an amount of size"},
			"too small":     {keeping("web:1", "1Mi"), "is not between 16Mi and 16Ti"},
			"one path":      {twice, "have the name more or the path /data"},
			"a path":        {place, "can't be the folder of a volume"},
		} {
			if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, tt.deploy, "owner"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.m.cfg.Volumes = full{}
		if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, keeping("web:1", "1Gi"), "owner"); agent.CodeOf(err) != agent.CodeQuotaStorage {
			t.Errorf("a full disk: %v", err)
		}
		if claims := w.claims(); len(claims) > 0 {
			t.Errorf("made: %v", claims)
		}
	})
}

// full is a disk without room.
type full struct{ Mover }

func (full) Room(int64) error {
	return agent.Errorf(agent.CodeQuotaStorage, "", "this machine's disk has no room")
}

func TestA19VolumesOfADeletedAppStayForTheirGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := roomy(t)
		w.servedWeb(keeping("web:1", "1Gi"))
		deleted := make(chan agent.Deletion, 1)
		go func() {
			d, err := w.m.Delete(t.Context(), "web", agent.Staging, "owner")
			if err != nil {
				t.Error(err)
			}
			deleted <- d
		}()
		settle()
		w.dropPods()
		deletion := <-deleted
		if len(deletion.Kept) != 1 || !strings.HasPrefix(deletion.Kept[0], "volume/web-staging-web-data until ") {
			t.Errorf("kept: %v", deletion.Kept)
		}
		if slices.ContainsFunc(deletion.Removed, func(name string) bool { return strings.Contains(name, "volume") }) {
			t.Errorf("removed: %v", deletion.Removed)
		}
		until, err := time.Parse(time.RFC3339, w.claimHas("1Gi").Annotations[agent.AnnotationKeptUntil])
		if left := time.Until(until); err != nil || left < 6*24*time.Hour || left > 8*24*time.Hour {
			t.Errorf("until %s: %v", until, err)
		}
		w.servedWeb(keeping("web:2", "1Gi"))
		if mark := w.claimHas("1Gi").Annotations[agent.AnnotationKeptUntil]; mark != "" {
			t.Errorf("it has an owner again, and goes at %s", mark)
		}
	})
}

func TestAVolumeThatIsOnItsWayIsNoTrouble(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Spec: corev1.PodSpec{NodeName: "own"}}
	failed := func(count int32) view {
		return view{events: map[string][]*corev1.Event{"web-1": {{
			Reason: "FailedMount", Count: count, Message: `MountVolume.NewMounter initialization failed for volume "pvc-1" : path "/var/lib/hks/volumes/pvc-1/fs/data" does not exist`,
		}}}}
	}
	if l := starting(failed(2), pod); l.trouble != nil || l.message != "waiting for its volume" {
		t.Errorf("at first: %+v", l)
	}
	if l := starting(failed(mountTries), pod); l.trouble == nil || !strings.Contains(l.message, "does not exist") {
		t.Errorf("after long: %+v", l)
	}
}

func TestPromotionKeepsTheSizesOfItsTarget(t *testing.T) {
	source := agent.Spec{Components: keeping("web:2", "1Gi").Components}
	before := agent.Spec{Components: keeping("web:1", "5Gi").Components}
	if got := promoted(source, before).Components[0].Volumes[0].Size; got != "5Gi" {
		t.Errorf("it has %s", got)
	}
	if source.Components[0].Volumes[0].Size != "1Gi" {
		t.Error("the source was changed")
	}
}
