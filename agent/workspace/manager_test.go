package workspace

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

func refused() error {
	return &url.Error{Op: "Get", URL: "https://127.0.0.1:6443", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
}

func TestA02WorkspaceIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newCluster(), &rows{})
		b.start()
		if _, err := b.Current(t.Context()); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("before there is one: %v", err)
		}
		w, err := b.Create(t.Context(), "dev-workspace", "owner")
		if err != nil || w.Status != agent.WorkspaceCreating {
			t.Fatalf("accepted as %+v, %v", w, err)
		}
		b.ready("dev-workspace")
		w, err = b.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.PodLevel != "baseline" || w.Plan.Name != "hobby" || w.Step != "" {
			t.Errorf("got %+v", w)
		}
		limits := map[string]float64{}
		for _, r := range w.Resources {
			limits[r.Name] = r.Limit
		}
		want := map[string]float64{"cpu": 6.4, "memory": 3 << 30, "storage": 10 << 30, "pods": 50}
		for name, limit := range want {
			if limits[name] != limit {
				t.Errorf("%s: limit %v, want %v", name, limits[name], limit)
			}
		}
		// Asking again is fine: a login that was cut off continues (A05).
		if w, err := b.Create(t.Context(), "dev-workspace", "owner"); err != nil || w.Status != agent.WorkspaceReady {
			t.Errorf("asked again: %+v, %v", w, err)
		}
	})
}

func TestA07SecondWorkspaceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newCluster(), &rows{})
		b.start()
		b.create("one")
		for _, when := range []string{"while the first is made", "when it is ready"} {
			_, err := b.Create(t.Context(), "two", "owner")
			if agent.CodeOf(err) != agent.CodePlanLimit || !strings.Contains(err.Error(), "hobby") || !strings.Contains(err.Error(), "1 workspace") {
				t.Errorf("%s: %v", when, err)
			}
			b.ready("one")
		}
	})
}

func TestNamesOfTheSystemAreRefused(t *testing.T) {
	b := newBench(t, newCluster(), &rows{})
	for _, name := range []string{"default", "kube-system", "hks-system", "UPPER", "", "a b", strings.Repeat("a", 41)} {
		if _, err := b.Create(t.Context(), name, "owner"); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Every request that a step makes is refused once: the failure is told,
// nothing stays, and trying again works.
func TestA04FailureLeavesNothing(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errDown)
	for _, what := range []string{
		"patch namespaces", "patch rolebindings", "create selfsubjectaccessreviews", "list nodes", "patch resourcequotas", "get resourcequotas",
		"patch limitranges", "list servicecidrs", "patch networkpolicies", "patch serviceaccounts", "get serviceaccounts", "get networkpolicies",
	} {
		for kind, err := range map[string]error{"forbidden": forbidden, "API server away": refused(), "odd": errDown} {
			t.Run(what+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster()
					b := newBench(t, c, &rows{})
					c.refuse(what, err)
					b.start()
					b.create("dev-workspace")
					failed := b.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed && w.Leftover == "" })
					if failed.Reason == "" || failed.Fix == "" || failed.Step == "" {
						t.Errorf("no words: %+v", failed)
					}
					if c.hasNamespace(t, "dev-workspace") {
						t.Error("a half-made namespace stays")
					}
					c.refuse(what, nil)
					b.create("dev-workspace")
					b.ready("dev-workspace")
					if got := b.rows.get(); got.Reason != "" {
						t.Errorf("an old reason stays: %+v", got)
					}
				})
			})
		}
	}
}

func TestA04ShortOutageIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		c.refuse("all", refused())
		b.start()
		b.create("dev-workspace")
		time.Sleep(10 * time.Second)
		if got := b.rows.get(); got.Status != agent.WorkspaceCreating || got.Step != "namespace" || !strings.HasPrefix(got.Reason, "waiting: ") {
			t.Errorf("during the outage: %+v", got)
		}
		c.refuse("all", nil)
		b.ready("dev-workspace")
	})
}

// The API server goes while the workspace is half made and stays away: what
// was made is removed when it is back.
func TestA04LeftoverIsRemovedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		c.refuse("patch resourcequotas", errDown)
		c.refuse("delete namespaces", refused())
		b.start()
		b.create("dev-workspace")
		b.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed })
		time.Sleep(time.Minute)
		if !c.hasNamespace(t, "dev-workspace") || b.rows.get().Leftover != "dev-workspace" {
			t.Fatal("the double removed the namespace")
		}
		c.refuse("delete namespaces", nil)
		b.wait("clean", func(w store.Workspace) bool { return w.Leftover == "" })
		if c.hasNamespace(t, "dev-workspace") {
			t.Error("a half-made namespace stays")
		}
	})
}

func TestA04CapacityShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		nodes := c.set.CoreV1().Nodes()
		node, err := nodes.Get(t.Context(), "one", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		node.Status.Allocatable[corev1.ResourceMemory] = resource.MustParse("300Mi")
		if _, err := nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		failed := b.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed && w.Leftover == "" })
		if !strings.Contains(failed.Reason, "too small") || !strings.Contains(failed.Reason, "256 MiB") || c.hasNamespace(t, "dev-workspace") {
			t.Errorf("got %+v", failed)
		}
	})
}

func TestForeignNamespaceIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}})
		b := newBench(t, c, &rows{})
		b.start()
		b.create("theirs")
		failed := b.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed })
		if !strings.Contains(failed.Reason, "does not belong to hks") || failed.Leftover != "" || !c.hasNamespace(t, "theirs") {
			t.Errorf("got %+v", failed)
		}
		b.create("mine") // under another name
		b.ready("mine")
	})
}

// A namespace of ours whose row was lost is taken over, and not removed when
// taking it over fails: the owner's things are in it.
func TestLostWorkspaceIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := newBench(t, c, &rows{})
		first.start()
		first.create("dev-workspace")
		first.ready("dev-workspace")
		first.end()
		second := newBench(t, c, &rows{})
		c.refuse("patch networkpolicies", errDown)
		second.start()
		second.create("dev-workspace")
		second.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed })
		time.Sleep(time.Minute)
		if !c.hasNamespace(t, "dev-workspace") {
			t.Fatal("the owner's namespace was removed")
		}
		c.refuse("patch networkpolicies", nil)
		second.create("dev-workspace")
		second.ready("dev-workspace")
	})
}

func TestRestartResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newCluster(), &rows{}
		first := newBench(t, c, r)
		c.refuse("patch limitranges", refused())
		first.start()
		first.create("dev-workspace")
		first.wait("half made", func(w store.Workspace) bool { return w.Step == "limits" })
		first.end()
		if got := r.get(); got.Status != agent.WorkspaceCreating || got.Leftover != "dev-workspace" {
			t.Fatalf("stopped in the middle: %+v", got)
		}
		c.refuse("patch limitranges", nil)
		second := newBench(t, c, r)
		second.start()
		second.ready("dev-workspace")
	})
}

func TestRestartTooLateRollsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newCluster(), &rows{}
		first := newBench(t, c, r)
		c.refuse("patch limitranges", refused())
		first.start()
		first.create("dev-workspace")
		first.wait("half made", func(w store.Workspace) bool { return w.Step == "limits" })
		first.end()
		time.Sleep(time.Hour)
		c.refuse("patch limitranges", nil)
		second := newBench(t, c, r)
		second.start()
		failed := second.wait("failed", func(w store.Workspace) bool { return w.Status == agent.WorkspaceFailed && w.Leftover == "" })
		if !strings.Contains(failed.Reason, "interrupted") || c.hasNamespace(t, "dev-workspace") {
			t.Errorf("got %+v", failed)
		}
	})
}

func TestA03Rename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		if w, err := b.Rename(t.Context(), "shop", "owner"); err != nil || w.Status != agent.WorkspaceRenaming {
			t.Fatalf("accepted as %+v, %v", w, err)
		}
		b.ready("shop")
		if c.hasNamespace(t, "dev-workspace") || !c.hasNamespace(t, "shop") {
			t.Error("the namespace did not follow")
		}
		b.occupied = true
		if _, err := b.Rename(t.Context(), "other", "owner"); agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "deployed") {
			t.Errorf("with an app in it: %v", err)
		}
	})
}

func TestA03RenameWhileItIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.create("dev-workspace")
		if w, err := b.Rename(t.Context(), "shop", "owner"); err != nil || w.Status != agent.WorkspaceCreating {
			t.Fatalf("accepted as %+v, %v", w, err)
		}
		b.start()
		b.ready("shop")
		if c.hasNamespace(t, "dev-workspace") {
			t.Error("the first namespace stays")
		}
	})
}

func TestA03RenameFailsAndTheOldOneStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		c.refuse("patch networkpolicies", errDown)
		if _, err := b.Rename(t.Context(), "shop", "owner"); err != nil {
			t.Fatal(err)
		}
		row := b.wait("back", func(w store.Workspace) bool {
			return w.Status == agent.WorkspaceReady && w.Reason != "" && w.Leftover == ""
		})
		if row.Name != "dev-workspace" || !strings.Contains(row.Reason, "renaming it to shop failed") || c.hasNamespace(t, "shop") || !c.hasNamespace(t, "dev-workspace") {
			t.Errorf("got %+v", row)
		}
		c.refuse("patch networkpolicies", nil)
		if _, err := b.Rename(t.Context(), "shop", "owner"); err != nil {
			t.Fatal(err)
		}
		b.ready("shop")
	})
}

func TestA03InterruptedRenameResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newCluster(), &rows{}
		first := newBench(t, c, r)
		first.start()
		first.create("dev-workspace")
		first.ready("dev-workspace")
		c.refuse("patch limitranges", refused())
		if _, err := first.Rename(t.Context(), "shop", "owner"); err != nil {
			t.Fatal(err)
		}
		first.wait("half renamed", func(w store.Workspace) bool { return w.Step == "limits" })
		first.end()
		c.refuse("patch limitranges", nil)
		second := newBench(t, c, r)
		second.start()
		second.ready("shop")
		if c.hasNamespace(t, "dev-workspace") {
			t.Error("the old namespace stays")
		}
	})
}

func TestRepairPutsBackWhatWasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		policies := c.set.NetworkingV1().NetworkPolicies("dev-workspace")
		time.Sleep(time.Minute)
		if err := policies.Delete(t.Context(), objectName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if _, err := policies.Get(t.Context(), objectName, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func TestCurrentWhileTheClusterIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		c.refuse("all", refused())
		time.Sleep(time.Hour)
		w, err := b.Current(t.Context())
		if err != nil || w.Status != agent.WorkspaceReady || len(w.Resources) == 0 {
			t.Errorf("got %+v, %v", w, err)
		}
		if _, err := b.Kubeconfig(t.Context()); agent.CodeOf(err) != agent.CodeClusterAway {
			t.Errorf("a credential without a cluster: %v", err)
		}
	})
}

func TestKubeconfigNeedsAReadyWorkspace(t *testing.T) {
	b := newBench(t, newCluster(), &rows{})
	b.create("dev-workspace")
	if _, err := b.Kubeconfig(t.Context()); agent.CodeOf(err) != agent.CodeWorkspaceMissing {
		t.Errorf("got %v", err)
	}
}

func TestKubeconfigIsForTheWorkspaceAndForOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.set.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
			return action.GetSubresource() == "token", &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: "t"}}, nil
		})
		b := newBench(t, c, &rows{})
		b.start()
		b.create("dev-workspace")
		b.ready("dev-workspace")
		got, err := b.Kubeconfig(t.Context())
		if want := "dev-workspace https://192.0.2.7:6443 192.0.2.7"; err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
}

func TestStopWithoutStart(t *testing.T) {
	b := newBench(t, newCluster(), &rows{})
	if err := errors.Join(b.Stop(t.Context()), b.Stop(t.Context())); err != nil {
		t.Error(err)
	}
}
