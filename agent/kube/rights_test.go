package kube

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// No role has a wildcard, and none that holds across the cluster reads a
// Secret or writes a workload.
func TestRolesAreNarrow(t *testing.T) {
	everywhere := []string{AgentAccount, GatewayAccount}
	for name, grants := range roles() {
		for _, g := range grants {
			for _, word := range slices.Concat([]string{g.group}, g.resources, g.verbs) {
				if strings.Contains(word, "*") {
					t.Errorf("%s has a wildcard: %+v", name, g)
				}
			}
			for _, verb := range []string{"escalate", "impersonate"} {
				if slices.Contains(g.verbs, verb) {
					t.Errorf("%s may %s", name, verb)
				}
			}
			if slices.Contains(everywhere, name) && slices.Contains(g.resources, "secrets") {
				t.Errorf("%s has Secrets of all namespaces: %+v", name, g)
			}
			if name == GatewayAccount && slices.ContainsFunc(g.verbs, func(v string) bool { return !slices.Contains(read, v) }) {
				t.Errorf("the gateway writes: %+v", g)
			}
			if name == WorkspaceOwnerRole && slices.ContainsFunc(g.verbs, func(v string) bool { return !slices.Contains(read, v) }) {
				for _, kept := range []string{"resourcequotas", "limitranges", "networkpolicies", "roles", "rolebindings", "endpointslices", "endpoints", "serviceaccounts/token"} {
					if slices.Contains(g.resources, kept) {
						t.Errorf("the owner changes %s", kept)
					}
				}
			}
		}
	}
}

// The agent enters pods of the workspace only, where its second role is bound.
func TestA23OnlyTheWorkspaceIsEntered(t *testing.T) {
	for name, grants := range roles() {
		for _, g := range grants {
			for _, way := range []string{"pods/exec", "pods/portforward", "pods/attach"} {
				enters := slices.Contains(g.resources, way)
				if enters && name != WorkspaceAgentRole && name != WorkspaceOwnerRole {
					t.Errorf("%s enters pods of all namespaces: %+v", name, g)
				}
			}
		}
	}
}

// Release commands are Jobs: the agent makes them in workspaces, beside the
// owner's own, and nobody of ours makes any elsewhere.
func TestJobsAreMadeInWorkspacesOnly(t *testing.T) {
	for name, grants := range roles() {
		if name == WorkspaceOwnerRole {
			continue
		}
		var verbs []string
		for _, g := range grants {
			if g.group == "batch" {
				if !slices.Equal(g.resources, []string{"jobs"}) {
					t.Errorf("%s has more than Jobs: %+v", name, g)
				}
				verbs = append(verbs, g.verbs...)
			}
		}
		want := map[string][]string{WorkspaceAgentRole: write}[name]
		if !slices.Equal(verbs, want) {
			t.Errorf("%s may %v Jobs, want %v", name, verbs, want)
		}
	}
}

// admin connects to the test cluster; without one the test is skipped.
func admin(t *testing.T) *Client {
	t.Helper()
	file := os.Getenv("HKS_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("needs a cluster: HKS_TEST_KUBECONFIG names its administrator's kubeconfig")
	}
	c, err := New(Config{Kubeconfig: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestA06CredentialsAreNarrow(t *testing.T) {
	admin := admin(t)
	dir := t.TempDir()
	b := Bootstrap{AgentFile: filepath.Join(dir, "agent.kubeconfig"), GatewayFile: filepath.Join(dir, "gateway", "kubeconfig")}
	started := time.Now()
	if err := admin.Bootstrap(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	t.Logf("bootstrap took %s", time.Since(started))
	before, err := os.Stat(b.AgentFile)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", before, err)
	}
	if err := admin.Bootstrap(t.Context(), b); err != nil { // again: nothing changes
		t.Fatal(err)
	}
	if after, err := os.Stat(b.AgentFile); err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the file was written again: %v", err)
	}
	hks, err := New(Config{Kubeconfig: b.AgentFile})
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := New(Config{Kubeconfig: b.GatewayFile})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("rights", func(t *testing.T) {
		for _, tt := range []struct {
			who       string
			client    *Client
			verb, res string
			namespace string
			want      bool
		}{
			{"agent", hks, "list", "nodes", "", true},
			{"agent", hks, "create", "namespaces", "", true},
			{"agent", hks, "create", "persistentvolumes", "", true}, // of class hks, by an admission rule
			{"agent", hks, "update", "storageclasses.storage.k8s.io", "", false},
			{"agent", hks, "patch", "persistentvolumeclaims", "kube-system", false},
			{"agent", hks, "get", "secrets", "kube-system", false},
			{"agent", hks, "list", "secrets", "", false},
			{"agent", hks, "get", "secrets", "hks-system", false},
			{"agent", hks, "create", "pods", "kube-system", false},
			{"agent", hks, "patch", "deployments.apps", "kube-system", false},
			{"agent", hks, "create", "pods/exec", "kube-system", false},
			{"agent", hks, "get", "pods/exec", "kube-system", false},
			{"agent", hks, "create", "pods/portforward", "", false},
			{"agent", hks, "create", "jobs.batch", "kube-system", false},
			{"agent", hks, "list", "jobs.batch", "", false},
			{"agent", hks, "delete", "nodes", "", false},
			{"agent", hks, "create", "clusterroles.rbac.authorization.k8s.io", "", false},
			{"agent", hks, "create", "clusterrolebindings.rbac.authorization.k8s.io", "", false},
			{"agent", hks, "*", "*", "", false},
			{"gateway", gateway, "watch", "ingresses.networking.k8s.io", "", true},
			{"gateway", gateway, "list", "endpointslices.discovery.k8s.io", "", true},
			{"gateway", gateway, "list", "services", "", true},
			{"gateway", gateway, "list", "secrets", "", false},
			{"gateway", gateway, "list", "pods", "", false},
			{"gateway", gateway, "update", "ingresses.networking.k8s.io", "default", false},
			{"gateway", gateway, "create", "services", "default", false},
		} {
			if got := can(t, tt.client, tt.verb, tt.res, tt.namespace); got != tt.want {
				t.Errorf("%s: %s %s in %q: %v, want %v", tt.who, tt.verb, tt.res, tt.namespace, got, tt.want)
			}
		}
	})
	t.Run("the gateway only reads", func(t *testing.T) {
		for _, namespace := range []string{"default", "kube-system"} {
			for _, rule := range rules(t, gateway, namespace) {
				// Every account may ask about itself.
				if slices.Contains(rule.APIGroups, "authorization.k8s.io") || slices.Contains(rule.APIGroups, "authentication.k8s.io") {
					continue
				}
				if slices.ContainsFunc(rule.Verbs, func(v string) bool { return !slices.Contains(read, v) }) || slices.Contains(rule.Resources, "secrets") {
					t.Errorf("in %s: %+v", namespace, rule)
				}
			}
		}
	})
	t.Run("namespaces of others stay", func(t *testing.T) {
		namespaces := hks.set.CoreV1().Namespaces()
		for _, name := range []string{"kube-system", "default", agent.SystemNamespace} {
			if err := namespaces.Delete(t.Context(), name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
				t.Errorf("deleting %s: %v", name, err)
			}
			patch := []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`)
			if _, err := namespaces.Patch(t.Context(), name, "application/merge-patch+json", patch, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
				t.Errorf("changing %s: %v", name, err)
			}
		}
		if _, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "plain"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err == nil {
			t.Error("a namespace without our labels was made")
		}
	})
	t.Run("no rights outside of workspaces", func(t *testing.T) {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "hks-agent"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: WorkspaceAgentRole},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: agent.SystemNamespace, Name: AgentAccount}},
		}
		for _, namespace := range []string{"kube-system", agent.SystemNamespace} {
			if _, err := hks.set.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err == nil {
				t.Errorf("the agent gives itself rights in %s", namespace)
			}
		}
	})
	t.Run("the kubelet's statistics and nothing else of it", func(t *testing.T) {
		nodes, err := hks.set.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil || len(nodes.Items) == 0 {
			t.Skipf("no node: %v", err)
		}
		ask := func(path string) error {
			_, err := hks.set.CoreV1().RESTClient().Get().Resource("nodes").Name(nodes.Items[0].Name).SubResource("proxy").Suffix(path).DoRaw(t.Context())
			return err
		}
		if err := ask("stats/summary"); err != nil {
			t.Errorf("statistics: %v", err)
		}
		for _, path := range []string{"pods", "configz", "logs/", "runningpods/", "stats/summary/../../pods", "exec/kube-system/x/y?command=id"} {
			if err := ask(path); !apierrors.IsForbidden(err) {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

func can(t *testing.T, c *Client, verb, resource, namespace string) bool {
	t.Helper()
	name, group, _ := strings.Cut(resource, ".")
	name, sub, _ := strings.Cut(name, "/")
	review, err := c.set.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Resource: name, Subresource: sub, Group: group,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func rules(t *testing.T, c *Client, namespace string) []authorizationv1.ResourceRule {
	t.Helper()
	review, err := c.set.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.ResourceRules
}

// A cluster that is away fails the bootstrap with words, and leaves no file.
func TestBootstrapWithoutCluster(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "admin.yaml")
	text := `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"a","cluster":{"server":"https://127.0.0.1:1"}}],` +
		`"contexts":[{"name":"a","context":{"cluster":"a"}}],"current-context":"a"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Kubeconfig: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err = c.Bootstrap(ctx, Bootstrap{AgentFile: filepath.Join(dir, "agent"), GatewayFile: filepath.Join(dir, "gateway")})
	if agent.CodeOf(err) != agent.CodeClusterAway {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"agent", "gateway"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestWriteIfChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "kubeconfig")
	for i, text := range []string{"one", "one", "two"} {
		if err := writeIfChanged(file, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != text {
			t.Errorf("%d: %q, %v", i, got, err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%d: %v, %v", i, info, err)
		}
		if err := os.Chmod(file, 0o644); err != nil { // someone opened it up
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".kubeconfig-*")); err != nil || len(left) != 0 {
		t.Error(fmt.Sprint(left, err))
	}
}

func TestSeenFromOutside(t *testing.T) {
	for _, tt := range [][3]string{
		{"https://127.0.0.1:6443", "192.0.2.7", "https://192.0.2.7:6443"},
		{"https://localhost:6443", "2001:db8::1", "https://[2001:db8::1]:6443"},
		{"https://10.0.0.1:6443", "192.0.2.7", "https://10.0.0.1:6443"},
		{"https://127.0.0.1:6443", "", "https://127.0.0.1:6443"},
	} {
		if got := seenFromOutside(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s from %s: %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}
