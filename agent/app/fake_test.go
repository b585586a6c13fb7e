package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const testNamespace = "dev-workspace"

// world is a manager on a fake API server. Nothing in it happens by itself:
// tests play the controllers and the kubelet.
type world struct {
	t   *testing.T
	set *fake.Clientset
	m   *Manager
	cfg Config

	mu        sync.Mutex // guards the rest
	workspace agent.Workspace
	images    map[string]string // reference -> digest; absent: not found
	route     error
	asked     []string // URLs asked
	events    []string
	refused   string // verb of requests that fail
}

func (w *world) Interface() kubernetes.Interface { return w.set }

func (w *world) Current(context.Context) (agent.Workspace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.workspace, nil
}

func (w *world) Resolve(_ context.Context, ref string) (image, digest string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	digest, ok := w.images[ref]
	switch {
	case !ok:
		return "", "", agent.Errorf(agent.CodeNotFound, "hks image list", "the registry has no %s: manifest unknown", ref)
	case digest == "":
		return "docker.io/library/" + ref, "", nil
	}
	return "registry.hks.internal/" + ref[:len(ref)-2] + "@" + digest, digest, nil
}

func (w *world) Check(ctx context.Context, url string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, url)
	return w.route
}

func digestOf(c byte) string { return "sha256:" + string(bytes.Repeat([]byte{c}, 64)) }

// newWorld makes a started manager; it must run in a synctest bubble.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, set: fake.NewClientset(),
		workspace: agent.Workspace{Name: testNamespace, Status: agent.WorkspaceReady, PodLevel: restricted, Plan: agent.Plan{Name: "hobby", Pods: 20},
			Resources: []agent.Resource{{Name: "cpu", Unit: "cores", Used: 0.5, Limit: 4}, {Name: "memory", Unit: "bytes", Limit: 8 << 30}, {Name: "pods", Unit: "count", Limit: 20}}},
		images: map[string]string{"api:1": digestOf('d'), "api:2": digestOf('e'), "web:1": digestOf('a'), "web:2": digestOf('b'), "web:3": digestOf('c'), "far:1": ""},
	}
	w.set.PrependReactor("*", "*", w.refuse)
	s, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{
		Store: s, Cluster: w, Workspace: w, Images: w, Route: w, Domain: "localhost",
		Publish: func(kind, subject string, object any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			line := kind + " " + subject
			if a, ok := object.(agent.App); ok {
				line += " " + string(a.Status)
			}
			w.events = append(w.events, line)
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// settle lets everybody do what there is to do now, debounced events too.
func settle() {
	time.Sleep(2 * publishPause)
	synctest.Wait()
}

func (w *world) start() {
	w.t.Helper()
	m, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.m = m
}

// stop ends the manager as a killed agent would: in the middle of anything.
func (w *world) stop() {
	w.t.Helper()
	if err := w.m.Stop(context.WithoutCancel(w.t.Context())); err != nil {
		w.t.Error(err)
	}
}

func (w *world) deploy(d agent.Deploy) agent.Release {
	w.t.Helper()
	r, err := w.m.Deploy(w.t.Context(), "web", agent.Staging, d, "owner")
	if err != nil {
		w.t.Fatal(err)
	}
	settle()
	return r
}

// spec deploys an image as the only component.
func spec(image string) agent.Deploy {
	return agent.Deploy{Change: []agent.Component{{Image: image, Port: 8080}}}
}

// deployed brings a release up to serving.
func (w *world) deployed(d agent.Deploy) agent.Release {
	w.t.Helper()
	r := w.deploy(d)
	w.serve(r.Number)
	if got := w.release(r.Number); got.Status != agent.ReleaseSucceeded {
		w.t.Fatalf("release %d is %s: %+v", r.Number, got.Status, got.Failure)
	}
	return r
}

func (w *world) deployment() *appsv1.Deployment {
	w.t.Helper()
	return w.deploymentOf(agent.DefaultComponent)
}

func (w *world) deploymentOf(component string) *appsv1.Deployment {
	w.t.Helper()
	d, err := w.set.AppsV1().Deployments(testNamespace).Get(w.t.Context(), agent.ComponentName("web", agent.Staging, component), metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// shows fails unless the Deployment shows the release with so many replicas.
func (w *world) shows(release, replicas int) {
	w.t.Helper()
	w.showsOf(agent.DefaultComponent, release, replicas)
}

func (w *world) showsOf(component string, release, replicas int) {
	w.t.Helper()
	d := w.deploymentOf(component)
	if releaseOf(d.Labels) != release || int(*d.Spec.Replicas) != replicas {
		w.t.Fatalf("the Deployment of %s shows release %d with %d replicas, want %d with %d", component, releaseOf(d.Labels), *d.Spec.Replicas, release, replicas)
	}
}

// pod makes a pod of the Deployment's present template and lets change
// arrange it.
func (w *world) pod(name string, change func(*corev1.Pod)) {
	w.t.Helper()
	w.podOf(agent.DefaultComponent, name, change)
}

func (w *world) podOf(component, name string, change func(*corev1.Pod)) {
	w.t.Helper()
	d := w.deploymentOf(component)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: testNamespace, Labels: d.Spec.Template.Labels},
		Spec:       *d.Spec.Template.Spec.DeepCopy(),
	}
	change(p)
	pods := w.set.CoreV1().Pods(testNamespace)
	_, err := pods.Create(w.t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		_, err = pods.Update(w.t.Context(), p, metav1.UpdateOptions{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	settle()
}

func (w *world) dropPods() {
	w.t.Helper()
	pods, err := w.set.CoreV1().Pods(testNamespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range pods.Items {
		if err := w.set.CoreV1().Pods(testNamespace).Delete(w.t.Context(), pods.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	settle()
}

// status sets what the Deployment controller would.
func (w *world) status(change func(*appsv1.DeploymentStatus)) {
	w.t.Helper()
	w.statusOf(agent.DefaultComponent, change)
}

func (w *world) statusOf(component string, change func(*appsv1.DeploymentStatus)) {
	w.t.Helper()
	d := w.deploymentOf(component).DeepCopy()
	change(&d.Status)
	if _, err := w.set.AppsV1().Deployments(testNamespace).UpdateStatus(w.t.Context(), d, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	settle()
}

// rolledOut marks the Deployment as wholly rolled out.
func (w *world) rolledOut() {
	w.t.Helper()
	w.rolledOutOf(agent.DefaultComponent)
}

func (w *world) rolledOutOf(component string) {
	w.t.Helper()
	n := *w.deploymentOf(component).Spec.Replicas
	w.statusOf(component, func(s *appsv1.DeploymentStatus) {
		*s = appsv1.DeploymentStatus{Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n, Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"}}}
	})
}

// serve plays a rollout of the release to its good end.
func (w *world) serve(release int) {
	w.t.Helper()
	w.shows(release, int(*w.deployment().Spec.Replicas))
	w.dropPods()
	w.serveOf(agent.DefaultComponent)
}

// serveOf plays the rollout of one component to its good end. Its old pods
// are taken away first.
func (w *world) serveOf(component string) {
	w.t.Helper()
	d := w.deploymentOf(component)
	pods := w.set.CoreV1().Pods(testNamespace)
	old, err := pods.List(w.t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range old.Items {
		if err := pods.Delete(w.t.Context(), old.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := range int(*d.Spec.Replicas) {
		w.podOf(component, fmt.Sprintf("%s-%d-%d", d.Name, releaseOf(d.Labels), i), ready)
	}
	w.rolledOutOf(component)
}

func ready(p *corev1.Pod) {
	running(p)
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
}

func running(p *corev1.Pod) {
	p.Spec.NodeName = "node-1"
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: containerName, ImageID: p.Spec.Containers[0].Image, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}}
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		p.Status.Phase = corev1.PodPending
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: containerName, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

func crashed(code int32, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		waiting("CrashLoopBackOff", "back-off")(p)
		p.Status.ContainerStatuses[0].RestartCount = restarts
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}
	}
}

func noRoom(words string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodPending
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: words}}
	}
}

func (w *world) release(number int) agent.Release {
	w.t.Helper()
	r, err := w.m.Release(w.t.Context(), "web", agent.Staging, number)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) app() agent.App {
	w.t.Helper()
	a, err := w.m.Get(w.t.Context(), "web", agent.Staging)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// is fails unless the app has the status and serves the release.
func (w *world) is(status agent.AppStatus, release int) agent.App {
	w.t.Helper()
	a := w.app()
	if a.Status != status || a.Release != release {
		w.t.Fatalf("the app is %s (%s) with release %d, want %s with %d", a.Status, a.Reason, a.Release, status, release)
	}
	return a
}

// steps are the steps of a release's progress, which must have ended.
func (w *world) steps(number int) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	var steps []string
	var last agent.Progress
	for p, err := range w.m.Progress(ctx, "web", agent.Staging, number) {
		if err != nil {
			w.t.Fatal(err)
		}
		steps = append(steps, p.Step)
		last = p
	}
	if !last.Done || last.Release == nil {
		w.t.Fatalf("the progress of release %d has no end: %v", number, steps)
	}
	return steps
}

// away lets requests with the verb fail as with an API server that is not
// there; an empty verb lets all pass.
func (w *world) away(verb string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = verb
}

func (w *world) refuse(action clienttesting.Action) (bool, runtime.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != "" && action.GetVerb() == w.refused {
		return true, nil, &url.Error{Op: action.GetVerb(), URL: "https://127.0.0.1:6443", Err: syscall.ECONNREFUSED}
	}
	return false, nil, nil
}
