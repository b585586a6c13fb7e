package workspace

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/plan"
	"hks.dev/hks/agent/store"
)

// On a real cluster, with the agent's own credential: the workspace is made,
// holds, is renamed and goes away when making it fails.
func TestA02A03A06OnACluster(t *testing.T) {
	file := os.Getenv("HKS_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("needs a cluster: HKS_TEST_KUBECONFIG names its administrator's kubeconfig")
	}
	admin, err := kube.New(kube.Config{Kubeconfig: file})
	if err != nil {
		t.Fatal(err)
	}
	agentFile := filepath.Join(t.TempDir(), "agent")
	if err := admin.Bootstrap(t.Context(), kube.Bootstrap{AgentFile: agentFile, GatewayFile: filepath.Join(t.TempDir(), "gateway")}); err != nil {
		t.Fatal(err)
	}
	narrow, err := kube.NewDeferred(kube.Config{Kubeconfig: agentFile})
	if err != nil {
		t.Fatal(err)
	}
	plans, err := plan.New()
	if err != nil {
		t.Fatal(err)
	}
	r := &rows{}
	m, err := New(Config{
		Cluster: narrow, Store: r, Plans: plans, Plan: plan.Default,
		Occupant: OccupantFunc(func(context.Context) (bool, error) { return false, nil }),
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Publish: func(_, subject string, object any) {
			if w, ok := object.(agent.Workspace); ok {
				t.Log(time.Now().Format("05.000"), subject, w.Status, w.Step, w.Reason)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"hks-test", "first", "second"} {
			_ = admin.Interface().CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}) // may be gone
		}
	})
	wait := func(what string, ok func(store.Workspace) bool) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if ok(r.get()) {
				return
			}
		}
		t.Fatalf("never %s: %+v", what, r.get())
	}
	ready := func(name string) {
		t.Helper()
		wait(name+" ready", func(w store.Workspace) bool {
			return w.Name == name && w.Status == agent.WorkspaceReady && w.Leftover == ""
		})
	}
	started := time.Now()
	if _, err := m.Create(t.Context(), "first", "owner"); err != nil {
		t.Fatal(err)
	}
	ready("first")
	t.Logf("made in %s", time.Since(started))
	if _, err := m.Rename(t.Context(), "second", "owner"); err != nil {
		t.Fatal(err)
	}
	ready("second")
	if _, err := admin.Interface().CoreV1().Namespaces().Get(t.Context(), "first", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the old namespace: %v", err)
	}
	w, err := m.Current(t.Context())
	if err != nil || len(w.Resources) != 4 || w.Resources[0].Limit <= 0 {
		t.Errorf("current: %+v, %v", w, err)
	}
	t.Logf("%+v", w.Resources)

	owner := ownerClient(t, m)
	t.Run("owner", func(t *testing.T) { checkOwner(t, owner) })
	t.Run("admission", func(t *testing.T) { checkAdmission(t, owner) })
	t.Run("network", func(t *testing.T) { checkNetwork(t, admin.Interface(), "second") })
	t.Run("usage", func(t *testing.T) {
		w, err := m.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", w.Resources)
	})
	t.Run("repair", func(t *testing.T) {
		quotas := narrow.Interface().CoreV1().ResourceQuotas("second")
		if err := quotas.Delete(t.Context(), objectName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := m.repair(t.Context(), r.get()); err != nil {
			t.Error(err)
		}
		if _, err := quotas.Get(t.Context(), objectName, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func ownerClient(t *testing.T, m *Manager) kubernetes.Interface {
	t.Helper()
	text, err := m.Kubeconfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(settings.Host, "127.0.0.1") {
		t.Errorf("the credential is for this machine only: %s", settings.Host)
	}
	owner, err := kubernetes.NewForConfig(settings)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

func checkOwner(t *testing.T, owner kubernetes.Interface) {
	core, ctx := owner.CoreV1(), t.Context()
	if _, err := core.Pods("second").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("own pods: %v", err)
	}
	for what, ask := range map[string]func() error{
		"pods elsewhere":    func() error { _, err := core.Pods("kube-system").List(ctx, metav1.ListOptions{}); return err },
		"secrets elsewhere": func() error { _, err := core.Secrets("hks-system").List(ctx, metav1.ListOptions{}); return err },
		"nodes":             func() error { _, err := core.Nodes().List(ctx, metav1.ListOptions{}); return err },
		"namespaces":        func() error { _, err := core.Namespaces().List(ctx, metav1.ListOptions{}); return err },
		"its own namespace": func() error { return core.Namespaces().Delete(ctx, "second", metav1.DeleteOptions{}) },
		"quota":             func() error { return core.ResourceQuotas("second").Delete(ctx, objectName, metav1.DeleteOptions{}) },
		"limits":            func() error { return core.LimitRanges("second").Delete(ctx, objectName, metav1.DeleteOptions{}) },
		"network policy": func() error {
			return owner.NetworkingV1().NetworkPolicies("second").Delete(ctx, objectName, metav1.DeleteOptions{})
		},
		"a policy of its own": func() error {
			_, err := owner.NetworkingV1().NetworkPolicies("second").Create(ctx, &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: "open"}, Spec: networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{}}},
			}, metav1.CreateOptions{})
			return err
		},
		"role binding": func() error {
			_, err := owner.RbacV1().RoleBindings("second").Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "more"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			}, metav1.CreateOptions{})
			return err
		},
	} {
		if err := ask(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want it forbidden", what, err)
		}
	}
}

func checkAdmission(t *testing.T, owner kubernetes.Interface) {
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	pod := func(change func(*corev1.Pod)) error {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}},
		}
		change(p)
		created, err := owner.CoreV1().Pods("second").Create(t.Context(), p, dry)
		if err == nil && created.Spec.Containers[0].Resources.Limits.Memory().IsZero() {
			t.Error("the limit range gives no memory limit")
		}
		return err
	}
	if err := pod(func(*corev1.Pod) {}); err != nil { // as root: most images do
		t.Errorf("an ordinary pod: %v", err)
	}
	yes := true
	for what, change := range map[string]func(*corev1.Pod){
		"privileged":   func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes} },
		"host network": func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"host path": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
	} {
		if err := pod(change); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("%s: %v", what, err)
		}
	}
	service := func(change func(*corev1.ServiceSpec)) error {
		spec := corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}
		change(&spec)
		_, err := owner.CoreV1().Services("second").Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: spec}, dry)
		return kube.Explain("making a service", err)
	}
	if err := service(func(*corev1.ServiceSpec) {}); err != nil {
		t.Errorf("an ordinary service: %v", err)
	}
	for what, tt := range map[string]struct {
		change func(*corev1.ServiceSpec)
		codes  []agent.Code
	}{
		"external address": {func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{"192.0.2.1"} }, []agent.Code{agent.CodeInvalid, agent.CodeForbidden}},
		"node port":        {func(s *corev1.ServiceSpec) { s.Type = corev1.ServiceTypeNodePort }, []agent.Code{agent.CodeQuota}},
		"load balancer":    {func(s *corev1.ServiceSpec) { s.Type = corev1.ServiceTypeLoadBalancer }, []agent.Code{agent.CodeQuota}},
	} {
		if err := service(tt.change); !slices.Contains(tt.codes, agent.CodeOf(err)) {
			t.Errorf("%s: %s %v", what, agent.CodeOf(err), err)
		}
	}
}
