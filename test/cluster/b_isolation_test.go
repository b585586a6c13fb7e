package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestA06WorkspaceIsIsolated(t *testing.T) {
	deploy(t, "quiet", "page:1")
	remove(t, "quiet")
	inside := podIP(t, workspace, "hks.dev/app=quiet")

	if out, err := kubectl(t, "create", "namespace", "stranger"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _, _ = kubectl(t, "delete", "namespace", "stranger", "--wait=false") })
	image := imageOf(t, "quiet")

	t.Run("a pod in another namespace has no path into the workspace", func(t *testing.T) {
		reach := reacher(t, "stranger", image)
		if reach(inside + ":8080") {
			t.Errorf("%s answers a pod of another namespace", inside)
		}
	})
	t.Run("a pod of the workspace has no path to the node and the API server", func(t *testing.T) {
		reach := reacher(t, workspace, image)
		if !reach(inside + ":8080") {
			t.Errorf("%s does not answer a pod of its own namespace: the probe proves nothing", inside)
		}
		node, err := kubectl(t, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
		if err != nil {
			t.Fatalf("%v %s", err, node)
		}
		for _, address := range []string{node + ":6443", node + ":10250", node + ":5443", node + ":8443", "10.43.0.1:443"} {
			if reach(address) {
				t.Errorf("a pod of the workspace reaches %s", address)
			}
		}
	})
	t.Run("the workspace's kubeconfig is good for the workspace only", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(file, []byte(hks(t, "kubeconfig")), 0o600); err != nil {
			t.Fatal(err)
		}
		as := func(args ...string) (string, error) { return kubectl(t, append(args, "--kubeconfig", file)...) }
		if out, err := as("get", "pods", "-n", workspace); err != nil {
			t.Errorf("pods of the workspace: %v %s", err, out)
		}
		for _, forbidden := range [][]string{
			{"get", "pods", "-n", "kube-system"}, {"get", "secrets", "-n", "kube-system"}, {"get", "nodes"},
			{"get", "namespaces"}, {"get", "secrets", "-n", "hks-system"},
			{"delete", "networkpolicy", "--all", "-n", workspace}, {"delete", "resourcequota", "--all", "-n", workspace},
		} {
			if out, err := as(forbidden...); err == nil || !strings.Contains(strings.ToLower(out), "forbidden") {
				t.Errorf("kubectl %s: %v %s; want it forbidden", strings.Join(forbidden, " "), err, out)
			}
		}
	})
}

func podIP(t *testing.T, namespace, selector string) string {
	t.Helper()
	var ip string
	eventually(t, time.Minute, func() string {
		out, err := kubectl(t, "get", "pods", "-n", namespace, "-l", selector, "-o", "jsonpath={.items[0].status.podIP}")
		if err != nil || out == "" {
			return fmt.Sprintf("no pod address: %v %s", err, out)
		}
		ip = out
		return ""
	})
	return ip
}

// imageOf returns the image, by digest, that the app's pods run.
func imageOf(t *testing.T, app string) string {
	t.Helper()
	out, err := kubectl(t, "get", "deployment", app+"-staging", "-n", workspace, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return out
}

// reacher starts a pod in the namespace and returns a function that tells
// whether that pod reaches an address by TCP.
func reacher(t *testing.T, namespace, image string) func(address string) bool {
	t.Helper()
	manifest := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"probe","namespace":%q},"spec":{
		"securityContext":{"runAsNonRoot":true,"runAsUser":65532,"seccompProfile":{"type":"RuntimeDefault"}},
		"terminationGracePeriodSeconds":0,
		"containers":[{"name":"probe","image":%q,"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}`, namespace, image)
	file := filepath.Join(t.TempDir(), "pod.json")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := kubectl(t, "apply", "-f", file); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _, _ = kubectl(t, "delete", "pod", "probe", "-n", namespace, "--wait=false") })
	if out, err := kubectl(t, "wait", "--for=condition=Ready", "pod/probe", "-n", namespace, "--timeout=60s"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return func(address string) bool {
		_, err := kubectl(t, "exec", "-n", namespace, "probe", "--", "/app", "reach", address)
		return err == nil
	}
}
