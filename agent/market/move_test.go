package market

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// carrier moves the data of services as told by a test.
type carrier struct {
	mu      sync.Mutex // guards the rest
	at, to  string
	undone  int
	sure    int
	running func() bool // whether an instance has the data
	t       *testing.T
}

func (c *carrier) PlanPlace(_ context.Context, from, to string, needs agent.Amounts, claims []string) (agent.MovePlan, error) {
	return agent.MovePlan{From: wordOf(from), To: to, Fits: to != "tiny", Reason: "it is too small", Needs: needs, Volumes: &agent.VolumePlan{Volumes: claims}, Pause: 10}, nil
}

func (c *carrier) VolumeNode(_ context.Context, _ []string, place string) (string, error) {
	if place == agent.PoolShared {
		return "own", nil
	}
	return "prod-1", nil
}

func (c *carrier) Bring(_ context.Context, _ []string, node string, stopped bool) (agent.Bring, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == node {
		return agent.Bring{Done: true}, nil
	}
	c.to = node
	if stopped {
		if c.running() {
			c.t.Error("the data is switched under a running instance")
		}
		c.at = node
	}
	return agent.Bring{Done: stopped, Stop: true}, nil
}

func (c *carrier) Undo(context.Context, []string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to == "" {
		return true, nil
	}
	c.at, c.to = "own", ""
	c.undone++
	return false, nil
}

func (c *carrier) Confirm(context.Context, []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = ""
	c.sure++
	return nil
}

func (w *world) Bring(ctx context.Context, claims []string, node string, stopped bool) (agent.Bring, error) {
	return w.carrier.Bring(ctx, claims, node, stopped)
}
func (w *world) Undo(ctx context.Context, claims []string) (bool, error) {
	return w.carrier.Undo(ctx, claims)
}
func (w *world) Confirm(ctx context.Context, claims []string) error {
	return w.carrier.Confirm(ctx, claims)
}

// controlled plays the controller of a StatefulSet until the test ends: it ends
// and starts the instance, which gets ready unless it is at broken.
func (w *world) controlled(name, broken string) {
	w.t.Helper()
	one := int32(1)
	sets, pods := w.set.AppsV1().StatefulSets(namespace), w.set.CoreV1().Pods(namespace)
	if _, err := sets.Create(w.t.Context(), &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: appsv1.StatefulSetSpec{Replicas: &one}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			set, err := sets.Get(ctx, name, metav1.GetOptions{})
			if err == nil && *set.Spec.Replicas == 0 {
				_ = pods.Delete(ctx, name+"-0", metav1.DeleteOptions{}) // it may be gone
			} else if err == nil {
				ready := corev1.ConditionTrue
				if broken != "" && set.Spec.Template.Spec.NodeSelector[agent.LabelNodePool] == broken {
					ready = corev1.ConditionFalse
				}
				_, _ = pods.Create(ctx, &corev1.Pod{ // it may be there
					ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Namespace: namespace, Labels: map[string]string{agent.LabelInstance: name}},
					Spec:       corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: ClaimName(name)}}}}},
					Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
				}, metav1.CreateOptions{})
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	w.carrier.running = func() bool {
		set, err := sets.Get(context.Background(), name, metav1.GetOptions{})
		return err != nil || *set.Spec.Replicas != 0
	}
}

func TestA87ServiceMovesWithItsData(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.controlled("db", "")
	ctx := t.Context()
	if _, err := w.Move(ctx, "db", "tiny", "test"); agent.CodeOf(err) != agent.CodeQuota || !strings.Contains(err.Error(), "too small") {
		t.Errorf("to where it does not fit: %v", err)
	}
	if _, err := w.Move(ctx, "db", "shared", "test"); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("to where it is: %v", err)
	}
	job := w.good(w.Move(ctx, "db", "dedicated", "test"))
	if last := job.Steps[len(job.Steps)-2].Text; !strings.Contains(last, "after a pause of") {
		t.Errorf("its steps: %+v", job.Steps)
	}
	s, _, err := w.store.Service(ctx, "db")
	if err != nil || s.Place != "dedicated" || w.carrier.at != "prod-1" || w.carrier.sure != 1 {
		t.Errorf("it is at %q %v, its data at %s", s.Place, err, w.carrier.at)
	}
	set, err := w.set.AppsV1().StatefulSets(namespace).Get(ctx, "db", metav1.GetOptions{})
	if err != nil || set.Spec.Template.Spec.NodeSelector[agent.LabelNodePool] != agent.PoolDedicated || len(set.Spec.Template.Spec.Tolerations) != 1 {
		t.Errorf("its instance is placed by %+v, %v", set.Spec.Template.Spec, err)
	}
	if got := values(s)["placement"]; got == nil {
		t.Error("the next upgrade would take it away again")
	}
	moving, err := w.Evacuate(ctx, "prod-1", true, "test")
	if err != nil || len(moving) != 1 {
		t.Fatalf("evacuated: %v %v", moving, err)
	}
	deadline := time.Now().Add(waitLimit)
	for len(moving) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		if moving, err = w.Evacuate(ctx, "prod-1", true, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if s, _, err := w.store.Service(ctx, "db"); err != nil || s.Place != "" || w.carrier.at != "own" {
		t.Errorf("back again it is at %q %v, its data at %s", s.Place, err, w.carrier.at)
	}
}

func TestA83ServiceThatDoesNotGetReadyIsBroughtBack(t *testing.T) {
	w := newWorld(t)
	w.installed("db")
	w.Manager.cfg.Ready = 200 * time.Millisecond
	w.controlled("db", agent.PoolDedicated)
	job := w.done(w.Move(t.Context(), "db", "dedicated", "test"))
	if job.Failure == nil {
		t.Fatal("it went through")
	}
	s, _, err := w.store.Service(t.Context(), "db")
	if err != nil || s.Place != "" || s.Status != agent.ServiceRunning || w.carrier.at != "own" || w.carrier.undone != 1 || w.carrier.sure != 0 {
		t.Errorf("it is %s at %q, its data at %s, undone %d", s.Status, s.Place, w.carrier.at, w.carrier.undone)
	}
	set, err := w.set.AppsV1().StatefulSets(namespace).Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil || *set.Spec.Replicas != 1 || len(set.Spec.Template.Spec.NodeSelector) > 0 {
		t.Errorf("its instance: %+v %v", set.Spec, err)
	}
}
