package workspace

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/plan"
	"hks.dev/hks/agent/store"
)

// rows is a store in memory, which outlives a manager.
type rows struct {
	mu  sync.Mutex
	row *store.Workspace
}

func (r *rows) Workspace(context.Context) (store.Workspace, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.row == nil {
		return store.Workspace{}, false, nil
	}
	return *r.row, true, nil
}

func (r *rows) PutWorkspace(_ context.Context, w store.Workspace) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row = &w
	return nil
}

func (r *rows) get() store.Workspace {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.row == nil {
		return store.Workspace{}
	}
	return *r.row
}

// cluster is client-go's fake with the cluster's controllers played: the
// quota's, the service accounts' and the authorizer.
type cluster struct {
	set *fake.Clientset

	mu   sync.Mutex       // guards what follows
	deny map[string]error // by "verb resource"
}

func newCluster(objects ...runtime.Object) *cluster {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Spec:       corev1.NodeSpec{PodCIDRs: []string{"10.42.0.0/24"}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi")},
			Addresses:   []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}, {Type: corev1.NodeHostName, Address: "one"}},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	services := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.43.0.0/16"}}}
	c := &cluster{set: fake.NewClientset(append([]runtime.Object{node, services}, objects...)...), deny: map[string]error{}}
	c.set.PrependReactor("create", "selfsubjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authorizationv1.SelfSubjectAccessReview{Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}}, nil
	})
	c.set.PrependReactor("get", "resourcequotas", func(action clienttesting.Action) (bool, runtime.Object, error) {
		object, err := c.set.Tracker().Get(action.GetResource(), action.GetNamespace(), action.(clienttesting.GetAction).GetName())
		if err != nil {
			return true, nil, err
		}
		quota := object.(*corev1.ResourceQuota).DeepCopy()
		quota.Status.Hard = quota.Spec.Hard
		return true, quota, nil
	})
	c.set.PrependReactor("get", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.(clienttesting.GetAction).GetName() == "default" {
			return true, &corev1.ServiceAccount{}, nil
		}
		return false, nil, nil
	})
	// The last one prepended is asked first.
	c.set.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, key := range []string{action.GetVerb() + " " + action.GetResource().Resource, "all"} {
			if err := c.deny[key]; err != nil {
				return true, nil, err
			}
		}
		return false, nil, nil
	})
	return c
}

func (c *cluster) Interface() kubernetes.Interface { return c.set }

func (c *cluster) KubeconfigFor(user kube.KubeconfigUser) ([]byte, error) {
	return []byte(user.Namespace + " " + user.Server + " " + user.Host), nil
}

// refuse makes requests of a kind fail; nil lets them through again.
func (c *cluster) refuse(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deny[what] = err
}

func (c *cluster) hasNamespace(t *testing.T, name string) bool {
	t.Helper()
	_, err := c.set.Tracker().Get(corev1.SchemeGroupVersion.WithResource("namespaces"), "", name)
	return err == nil
}

// bench is a manager over doubles.
type bench struct {
	*Manager
	t        *testing.T
	rows     *rows
	cluster  *cluster
	occupied bool

	mu         sync.Mutex // guards activities
	activities []string
}

func newBench(t *testing.T, c *cluster, r *rows) *bench {
	t.Helper()
	plans, err := plan.New()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, rows: r, cluster: c}
	b.Manager, err = New(Config{
		Cluster: c, Store: r, Plans: plans, Plan: plan.Default,
		Occupant: OccupantFunc(func(context.Context) (bool, error) { return b.occupied, nil }),
		HostAddresses: func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("10.42.0.1")}, nil
		},
		Server: func() string { return "https://192.0.2.7:6443" },
		Record: func(_ context.Context, a agent.Activity) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.activities = append(b.activities, a.Level+": "+a.Message)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start() {
	b.t.Helper()
	if err := b.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.end)
}

func (b *bench) end() {
	if err := b.Stop(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// wait waits until the row is as wanted. Inside a synctest bubble this takes
// no time.
func (b *bench) wait(what string, ok func(store.Workspace) bool) store.Workspace {
	b.t.Helper()
	for range 6000 {
		if row := b.rows.get(); ok(row) {
			return row
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("never %s: %+v", what, b.rows.get())
	return store.Workspace{}
}

func (b *bench) ready(name string) {
	b.t.Helper()
	b.wait(name+" ready", func(w store.Workspace) bool {
		return w.Status == agent.WorkspaceReady && w.Name == name && w.Leftover == ""
	})
}

func (b *bench) create(name string) {
	b.t.Helper()
	if _, err := b.Create(b.t.Context(), name, "owner"); err != nil {
		b.t.Fatal(err)
	}
}

var errDown = errors.New("made up")
