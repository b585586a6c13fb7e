package node

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

const space = "dev-workspace"

type cluster struct{ set *fake.Clientset }

func (c cluster) Interface() kubernetes.Interface { return c.set }

type workspaces struct{ limit int }

func (w workspaces) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: space, Status: agent.WorkspaceReady, Plan: agent.Plan{Name: "some", DedicatedNodes: w.limit}}, nil
}

type tokens struct{}

func (tokens) CreateJoinToken(context.Context, time.Duration) (string, error) {
	return "K10x::a.b", nil
}

// bench is a manager over a real database and a fake cluster.
type bench struct {
	*Manager
	set   *fake.Clientset
	now   time.Time
	moved []string // apps that are still on their way
	fails error    // of an evacuation
	last  []bool
}

func newBench(t *testing.T, limit int, objects ...kruntime.Object) *bench {
	t.Helper()
	b := &bench{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.set = fake.NewClientset(append([]kruntime.Object{node("own", nil)}, objects...)...)
	s, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b.Manager, err = New(Config{
		Cluster: cluster{b.set}, Store: s, Workspaces: workspaces{limit}, Tokens: tokens{}, Own: "own", Version: "1",
		Server: func(host string) string { return "https://" + host + ":6443" },
		Files:  func() ([]agent.JoinFile, error) { return []agent.JoinFile{{Name: "k3s", SHA256: "ab", Size: 1}}, nil },
		Registry: func(host string, plan *agent.JoinPlan) error {
			plan.Registry.Endpoint = "https://" + host + ":5443"
			return nil
		},
		Evacuate: func(_ context.Context, _ string, last bool, _ string) ([]string, error) {
			b.last = append(b.last, last)
			return b.moved, b.fails
		},
		Now: func() time.Time { return b.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func node(name string, taints []corev1.Taint) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{Taints: taints},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

// secretOf is the secret in the command of an invitation.
func secretOf(t *testing.T, n agent.Node) string {
	t.Helper()
	_, after, ok := strings.Cut(n.Invite.Command, "HKS_JOIN=")
	secret, _, _ := strings.Cut(after, " ")
	if !ok || !strings.HasPrefix(secret, agent.JoinToken) {
		t.Fatalf("no secret in %q", n.Invite.Command)
	}
	return secret
}

func (b *bench) invite(t *testing.T, name string) string {
	t.Helper()
	invited, err := b.Invite(t.Context(), name, "owner", Place{URL: "https://192.0.2.1:8443", Pin: "pin="})
	if err != nil {
		t.Fatal(err)
	}
	return secretOf(t, invited)
}

func (b *bench) request() agent.JoinRequest {
	return agent.JoinRequest{Machine: "m1", Host: "vm", Arch: runtime.GOARCH, CPUs: 2, Memory: 4 << 30, Clock: b.now}
}

func (b *bench) look(t *testing.T, name string) agent.Node {
	t.Helper()
	if err := b.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := b.Show(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestA80JoinFromInvitationToReady(t *testing.T) {
	b := newBench(t, agent.Unlimited)
	secret := b.invite(t, "prod-1")
	plan, err := b.Begin(t.Context(), secret, "192.0.2.1", b.request())
	if err != nil {
		t.Fatal(err)
	}
	if plan.Node != "prod-1" || plan.Server != "https://192.0.2.1:6443" || plan.Registry.Endpoint != "https://192.0.2.1:5443" ||
		!slices.Equal(plan.Labels, []string{"hks.dev/node-pool=dedicated"}) || !slices.Equal(plan.Taints, []string{"hks.dev/dedicated=dev-workspace:NoSchedule"}) {
		t.Errorf("the plan: %+v", plan)
	}
	for _, step := range []agent.NodeStep{{Name: "fetches k3s", State: agent.StepRunning}, {Name: "fetches k3s", State: agent.StepDone}} {
		if err := b.Report(t.Context(), secret, step); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.look(t, "prod-1"); n.Status != agent.NodeProvisioning || len(n.Steps) != 1 || n.Steps[0].State != agent.StepDone {
		t.Errorf("while it joins: %+v", n)
	}
	if _, err := b.set.CoreV1().Nodes().Create(t.Context(), node("prod-1", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := b.look(t, "prod-1"); n.Status != agent.NodeReady || n.Pool != agent.PoolDedicated {
		t.Errorf("when it is there: %+v", n)
	}
	marked, err := b.set.CoreV1().Nodes().Get(t.Context(), "prod-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []corev1.Taint{{Key: agent.TaintDedicated, Value: space, Effect: corev1.TaintEffectNoSchedule}}
	if !slices.Equal(marked.Spec.Taints, want) || marked.Labels[agent.LabelNodePool] != agent.PoolDedicated {
		t.Errorf("A81 its marks: %v %v", marked.Spec.Taints, marked.Labels)
	}
	if _, err := b.Begin(t.Context(), secret, "192.0.2.1", b.request()); agent.CodeOf(err) != agent.CodeUnauthorized {
		t.Errorf("A86 a used invitation: %v", err)
	}
}

func TestA87NodeThatJoinedServesDisks(t *testing.T) {
	b := newBench(t, agent.Unlimited)
	b.cfg.Disks = func(node string) (agent.DiskKeys, error) {
		return agent.DiskKeys{Certificate: "certificate of " + node, Key: "key", Peer: "the appliance"}, nil
	}
	secret := b.invite(t, "prod-1")
	if _, _, err := b.Disks(t.Context(), "prod-1"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("before the join: %v", err)
	}
	plan, err := b.Begin(t.Context(), secret, "192.0.2.1", b.request())
	if err != nil || plan.Disks.Key != "key" || plan.Disks.Peer != "the appliance" {
		t.Fatalf("the plan: %+v %v", plan.Disks, err)
	}
	if _, _, err := b.Disks(t.Context(), "prod-1"); agent.CodeOf(err) != agent.CodeClusterAway {
		t.Errorf("before it is in the cluster: %v", err)
	}
	there := node("prod-1", nil)
	there.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}}
	there.Status.NodeInfo.KubeletVersion = "v1.35.0"
	if _, err := b.set.CoreV1().Nodes().Create(t.Context(), there, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	address, certificate, err := b.Disks(t.Context(), "prod-1")
	if err != nil || address != "192.0.2.7" || certificate != "certificate of prod-1" {
		t.Errorf("it serves at %s as %q, %v", address, certificate, err)
	}
	own := node(b.cfg.Own, nil)
	own.Status.NodeInfo.KubeletVersion = "v1.36.2"
	if _, err := b.set.CoreV1().Nodes().Create(t.Context(), own, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	} else if err != nil {
		if _, err := b.set.CoreV1().Nodes().Update(t.Context(), own, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := b.Show(t.Context(), "prod-1"); err != nil || !n.Skewed {
		t.Errorf("its version differs and nobody says so: %+v %v", n, err)
	}
	if n, err := b.Show(t.Context(), b.cfg.Own); err != nil || n.Skewed {
		t.Errorf("the appliance's own differs from itself: %v", err)
	}
}

func TestA86InvitationsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		change func(*bench, *agent.JoinRequest, *string)
		code   agent.Code
	}{
		"forged":       {func(_ *bench, _ *agent.JoinRequest, s *string) { *s = agent.JoinToken + "x" }, agent.CodeUnauthorized},
		"of no kind":   {func(_ *bench, _ *agent.JoinRequest, s *string) { *s = "" }, agent.CodeUnauthorized},
		"expired":      {func(b *bench, r *agent.JoinRequest, _ *string) { b.now = b.now.Add(11 * time.Minute); r.Clock = b.now }, agent.CodeUnauthorized},
		"clock skew":   {func(_ *bench, r *agent.JoinRequest, _ *string) { r.Clock = r.Clock.Add(time.Minute) }, agent.CodeConflict},
		"architecture": {func(_ *bench, r *agent.JoinRequest, _ *string) { r.Arch = "mips" }, agent.CodeConflict},
		"too small":    {func(_ *bench, r *agent.JoinRequest, _ *string) { r.Memory = 512 << 20 }, agent.CodeConflict},
		"nameless":     {func(_ *bench, r *agent.JoinRequest, _ *string) { r.Machine = "" }, agent.CodeInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, agent.Unlimited)
			secret, request := b.invite(t, "prod-1"), b.request()
			tt.change(b, &request, &secret)
			if _, err := b.Begin(t.Context(), secret, "192.0.2.1", request); agent.CodeOf(err) != tt.code {
				t.Errorf("it gave %v", err)
			}
		})
	}
	t.Run("another machine's", func(t *testing.T) {
		b := newBench(t, agent.Unlimited)
		secret, request := b.invite(t, "prod-1"), b.request()
		for _, machine := range []string{"m1", "m1"} { // the same may try again
			request.Machine = machine
			if _, err := b.Begin(t.Context(), secret, "192.0.2.1", request); err != nil {
				t.Fatal(err)
			}
		}
		request.Machine = "m2"
		if _, err := b.Begin(t.Context(), secret, "192.0.2.1", request); agent.CodeOf(err) != agent.CodeForbidden {
			t.Errorf("it gave %v", err)
		}
	})
}

func TestA85PlanWithoutDedicatedNodesOffersTheUpgrade(t *testing.T) {
	_, err := newBench(t, 0).Invite(t.Context(), "prod-1", "owner", Place{})
	known, ok := errors.AsType[*agent.Error](err)
	if !ok || known.Code != agent.CodePlanLimit || !strings.Contains(known.Fix, "hks plan upgrade") {
		t.Errorf("it gave %v", err)
	}
}

func TestA80ExpiredInvitationIsShownAsFailed(t *testing.T) {
	b := newBench(t, agent.Unlimited)
	b.invite(t, "prod-1")
	b.now = b.now.Add(11 * time.Minute)
	if n := b.look(t, "prod-1"); n.Status != agent.NodeFailed || n.Fix == "" {
		t.Errorf("%+v", n)
	}
	b.invite(t, "prod-1") // a new one takes its place
	if n := b.look(t, "prod-1"); n.Status != agent.NodeProvisioning {
		t.Errorf("%+v", n)
	}
}

// joined is a bench with a node that has joined, and a pod on it.
func joined(t *testing.T) *bench {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: space, Labels: map[string]string{agent.LabelApp: "web", agent.LabelEnvironment: "staging"}},
		Spec:       corev1.PodSpec{NodeName: "prod-1"},
	}
	b := newBench(t, agent.Unlimited, node("prod-1", nil), pod)
	secret := b.invite(t, "prod-1")
	if _, err := b.Begin(t.Context(), secret, "192.0.2.1", b.request()); err != nil {
		t.Fatal(err)
	}
	if n := b.look(t, "prod-1"); n.Status != agent.NodeReady || len(n.Pods) != 1 || n.Pods[0].App != "web" {
		t.Fatalf("%+v", n)
	}
	return b
}

// evicts lets an eviction succeed, or be held back by a budget.
func (b *bench) evicts(held bool) *int {
	asked := 0
	b.set.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, kruntime.Object, error) {
		if action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		asked++
		if held {
			return true, nil, apierrors.NewTooManyRequests("the disruption budget needs 1 healthy pod", 1)
		}
		name := action.(clienttesting.CreateAction).GetObject().(*policyv1.Eviction).Name
		return true, nil, b.set.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), space, name)
	})
	return &asked
}

func TestA89RemoveMovesAppsThenPodsThenTheNode(t *testing.T) {
	b := joined(t)
	b.moved = []string{"web/staging"}
	if _, err := b.Remove(t.Context(), "prod-1", "owner"); err != nil {
		t.Fatal(err)
	}
	asked := b.evicts(false)
	if n := b.look(t, "prod-1"); n.Status != agent.NodeRemoving || !n.Cordoned || !strings.Contains(n.Message, "web/staging") || *asked != 0 {
		t.Errorf("while its app moves: %+v, %d evictions", n, *asked)
	}
	if !slices.Contains(b.last, true) {
		t.Error("the only dedicated node was not told to be the last")
	}
	b.moved = nil
	if n := b.look(t, "prod-1"); *asked != 1 || n.Status != agent.NodeRemoving {
		t.Errorf("while its pods go: %+v, %d evictions", n, *asked)
	}
	if err := b.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Show(t.Context(), "prod-1"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("it is still shown: %v", err)
	}
	b.invite(t, "prod-1") // its name is free
}

func TestA89DrainWaitsForBudgetsAndIsTakenBack(t *testing.T) {
	b := joined(t)
	if _, err := b.Drain(t.Context(), "prod-1", "owner"); err != nil {
		t.Fatal(err)
	}
	b.evicts(true)
	if n := b.look(t, "prod-1"); n.Status != agent.NodeDraining || !strings.Contains(n.Message, "wait until others") {
		t.Errorf("while a budget holds it: %+v", n)
	}
	b.fails = agent.Errorf(agent.CodeQuota, "free some room", "it does not fit")
	if err := b.pass(t.Context()); err == nil {
		t.Error("an evacuation that fails is not told")
	}
	if n, err := b.Show(t.Context(), "prod-1"); err != nil || n.Fix != "free some room" {
		t.Errorf("with an app that fits nowhere: %+v %v", n, err)
	}
	b.fails = nil
	if n, err := b.Resume(t.Context(), "prod-1", "owner"); err != nil || n.Status != agent.NodeReady || n.Cordoned {
		t.Errorf("taken back: %+v %v", n, err)
	}
	if _, err := b.Resume(t.Context(), "prod-1", "owner"); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("taken back twice: %v", err)
	}
}

func TestOwnNodeStays(t *testing.T) {
	b := newBench(t, agent.Unlimited)
	for name, change := range map[string]func(context.Context, string, string) (agent.Node, error){"drain": b.Drain, "remove": b.Remove} {
		if _, err := change(t.Context(), "own", "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := change(t.Context(), "nowhere", "owner"); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("%s of a node that is not there: %v", name, err)
		}
	}
}

func TestA86LostNodeIsToldAndComesBack(t *testing.T) {
	b := joined(t)
	set := func(status corev1.ConditionStatus) {
		n := node("prod-1", []corev1.Taint{{Key: agent.TaintDedicated, Value: space, Effect: corev1.TaintEffectNoSchedule}})
		n.Labels = map[string]string{agent.LabelNodePool: agent.PoolDedicated}
		n.Status.Conditions[0].Status, n.Status.Conditions[0].Reason = status, "NodeStatusUnknown"
		n.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(b.now.Add(-2 * time.Minute))
		if _, err := b.set.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(corev1.ConditionUnknown)
	if n := b.look(t, "prod-1"); n.Status != agent.NodeFailed || !strings.Contains(n.Message, "not heard of") || n.Fix == "" {
		t.Errorf("lost: %+v", n)
	}
	set(corev1.ConditionTrue)
	if n := b.look(t, "prod-1"); n.Status != agent.NodeReady {
		t.Errorf("back: %+v", n)
	}
}
