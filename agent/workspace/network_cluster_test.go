package workspace

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// checkNetwork tries every path into and out of the workspace with real pods.
// HKS_TEST_IMAGE names an image with a shell, nc, nslookup and httpd that the
// node has.
func checkNetwork(t *testing.T, admin kubernetes.Interface, workspace string) {
	image := os.Getenv("HKS_TEST_IMAGE")
	if image == "" {
		t.Skip("HKS_TEST_IMAGE names no image")
	}
	const stranger = "hks-test"
	core, ctx := admin.CoreV1(), t.Context()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stranger}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	run := func(namespace, name, script string) {
		t.Helper()
		_, err := core.Pods(namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"probe": name}},
			Spec: corev1.PodSpec{
				RestartPolicy:                 corev1.RestartPolicyNever,
				TerminationGracePeriodSeconds: new(int64),
				Containers:                    []corev1.Container{{Name: "c", Image: image, Command: []string{"/bin/busybox", "sh", "-c", script}}},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	phase := func(namespace, name string, wanted ...corev1.PodPhase) *corev1.Pod {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			pod, err := core.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range wanted {
				if pod.Status.Phase == w {
					return pod
				}
			}
		}
		t.Fatalf("pod %s/%s was never %v", namespace, name, wanted)
		return nil
	}
	serve := "busybox mkdir -p /tmp/w; exec busybox httpd -f -p 8080 -h /tmp"
	run(workspace, "server", serve)
	run(stranger, "server", serve)
	inside := phase(workspace, "server", corev1.PodRunning).Status.PodIP
	outside := phase(stranger, "server", corev1.PodRunning).Status.PodIP
	service, err := core.Services(workspace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"probe": "server"}, Ports: []corev1.ServicePort{{Port: 8080}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := core.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var node string
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			node = a.Address
		}
	}
	// The host, where the gateway runs, comes in.
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(inside, "8080"), 5*time.Second)
	if err != nil {
		t.Errorf("the gateway's host does not reach the pod: %v", err)
	} else {
		_ = conn.Close()
	}
	tests := []struct {
		from, name, to string
		want           bool
	}{
		{workspace, "own-pod", inside + " 8080", true},
		{workspace, "own-service", service.Spec.ClusterIP + " 8080", true},
		{workspace, "other-pod", outside + " 8080", false},
		{workspace, "api-service", "10.43.0.1 443", false},
		{workspace, "api-server", node + " 6443", false},
		{workspace, "kubelet", node + " 10250", false},
		{workspace, "loopback-api", "127.0.0.1 6443", false},
		{workspace, "bridge-api", strings.Join(append(strings.Split(inside, ".")[:3], "1"), ".") + " 6443", false},
		{stranger, "in-by-pod", inside + " 8080", false},
		{stranger, "in-by-service", service.Spec.ClusterIP + " 8080", false},
		{stranger, "probe-works", outside + " 8080", true},
	}
	for _, tt := range tests {
		// A fresh policy takes a moment to reach the new pod: what must be
		// open is tried again for a while; what must be closed is given the
		// same moment first.
		script := fmt.Sprintf("for i in 1 2 3 4 5 6 7 8; do busybox nc -w 2 %s </dev/null && exit 0; busybox sleep 1; done; exit 1", tt.to)
		if !tt.want {
			script = fmt.Sprintf("busybox sleep 4; busybox nc -w 3 %s </dev/null", tt.to)
		}
		run(tt.from, tt.name, script)
	}
	run(workspace, "dns", "for i in 1 2 3 4 5 6 7 8; do busybox nslookup server."+workspace+".svc.cluster.local && exit 0; busybox sleep 1; done; exit 1")
	for _, tt := range tests {
		pod := phase(tt.from, tt.name, corev1.PodSucceeded, corev1.PodFailed)
		if got := pod.Status.Phase == corev1.PodSucceeded; got != tt.want {
			t.Errorf("from %s to %s (%s): reached %v, want %v", tt.from, tt.name, tt.to, got, tt.want)
		}
	}
	if phase(workspace, "dns", corev1.PodSucceeded, corev1.PodFailed).Status.Phase != corev1.PodSucceeded {
		t.Error("no DNS in the workspace")
	}
}
