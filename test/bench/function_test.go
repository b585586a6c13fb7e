package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Goals of functions.
const (
	functionColdP50    = 60 * time.Millisecond
	functionColdP95    = 100 * time.Millisecond
	functionExtraP99   = 5 * time.Millisecond
	functionThroughput = 0.80 // of the pod's own
	functionRate       = 100  // calls a second
)

// How often what takes seconds is measured.
const (
	coldCalls     = 30
	coldElsewhere = 10 // in the other languages
	rawStarts     = 5
)

// benchFunctions are one function in three languages; 2048 bytes are what get
// expects.
var benchFunctions = []struct {
	name  string
	cold  int // calls
	files map[string]string
}{
	{"cold-node", coldCalls, map[string]string{
		"function.yaml": "name: cold-node\nruntime: nodejs\nentry: hello\npublic: true\nconcurrency: 10\nmaxInstances: 4\n",
		"index.js":      "const page = 'x'.repeat(2048);\nexports.hello = (request, response) => { setTimeout(() => response.send(page), Number(request.query.wait || 0)); };\n",
	}},
	{"cold-python", coldElsewhere, map[string]string{
		"function.yaml": "name: cold-python\nruntime: python\nentry: hello\npublic: true\nmaxInstances: 2\n",
		"main.py":       "def hello(request):\n    return 'x' * 2048\n",
	}},
	{"cold-go", coldElsewhere, map[string]string{
		"function.yaml": "name: cold-go\nruntime: go\nentry: hello\npublic: true\nmaxInstances: 2\n",
		"go.mod":        "module example.com/hello\n\ngo 1.26\n",
		"hello.go": `package hello

import (
	"io"
	"net/http"
	"strings"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() {
	functions.HTTP("hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2048)) })
}
`,
	}},
}

// functionBench is an appliance with its cluster at hand.
type functionBench struct {
	appliance
	set kubernetes.Interface
}

// BenchmarkFunctions weighs functions in an appliance of their own:
//
//	cold   the first call of a function that has no instance, while a pod is
//	       free in the pool and nothing else is on its way; beside it how long a
//	       Deployment of the same image takes from 0 to 1, until it answers
//	warm   the same call through the gateway and straight to the pod, at a steady
//	       rate that half a core, a pod's limit, answers without waiting
//	rate   calls of 5 ms: how much of what the pod alone takes in goes through
//	burst  20 calls at once of a function without an instance
//	idle   what a free pod of the pool holds
func BenchmarkFunctions(b *testing.B) {
	f := functionBench{appliance: bringUp(b)}
	client, err := kube.New(kube.Config{Kubeconfig: "/etc/rancher/k3s/k3s.yaml"})
	if err != nil {
		b.Fatal(err)
	}
	f.set = client.Interface()
	for _, one := range benchFunctions {
		b.Run("cold/"+one.name, func(b *testing.B) {
			f.deploy(b, one.name, one.files)
			for b.Loop() {
				f.cold(b, one.name, one.cold)
			}
		})
		if one.name == "cold-node" {
			b.Run("raw", f.raw)
			b.Run("warm", f.warm)
			b.Run("burst", f.burst)
			b.Run("idle", f.idle)
		}
		f.hks(b, "function", "delete", one.name, "--yes")
	}
}

func (f functionBench) deploy(b *testing.B, name string, files map[string]string) {
	b.Helper()
	folder := b.TempDir()
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f.hks(b, "function", "deploy", folder)
	if err := get(http.DefaultClient, f.target(name)); err != nil {
		b.Fatalf("%s does not answer: %v", name, err)
	}
}

func (f functionBench) target(name string) target {
	return target{address: "127.0.0.1:80", host: name + ".fn.localhost"}
}

// pods are those of the pool: free ones, and those with a function.
func (f functionBench) pods(b *testing.B) (free, busy []corev1.Pod, settled bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), kube.RequestTimeout)
	defer cancel()
	list, err := f.set.CoreV1().Pods(agent.DefaultWorkspace).List(ctx, metav1.ListOptions{LabelSelector: agent.LabelRuntime})
	if err != nil {
		b.Fatal(err)
	}
	settled = true
	for _, p := range list.Items {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		switch {
		case p.DeletionTimestamp != nil || !ready:
			settled = false
		case p.Labels[agent.LabelFunction] == "":
			free = append(free, p)
		default:
			busy = append(busy, p)
		}
	}
	return free, busy, settled
}

// chill takes the function's instances away, and waits until the pool is full
// and still.
func (f functionBench) chill(b *testing.B, name, turn string) {
	b.Helper()
	f.hks(b, "function", "env", "set", name, "TURN="+turn) // another environment: all instances go
	deadline := time.Now().Add(2 * time.Minute)
	for still := 0; still < 3; {
		free, busy, settled := f.pods(b)
		if settled && len(busy) == 0 && len(free) >= 2 {
			still++
		} else {
			still = 0
		}
		if time.Now().After(deadline) {
			b.Fatalf("the pool does not settle: %d free, %d busy", len(free), len(busy))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (f functionBench) cold(b *testing.B, name string, n int) {
	var times []time.Duration
	for i := range n {
		f.chill(b, name, fmt.Sprint(i))
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
		times = append(times, timed(func() {
			if start := f.call(b, client, f.target(name)); start != "cold" {
				b.Errorf("call %d was %q", i, start)
			}
		}))
		client.CloseIdleConnections()
	}
	figure := fmt.Sprintf("%s, n=%d, %s", spread(times), n, machine())
	p50, p95 := at(times, 50), at(times, 95)
	report(b, name, figure, "p50 60ms, p95 100ms", p50 <= functionColdP50 && p95 <= functionColdP95)
	b.ReportMetric(millis(p50), "p50-ms")
	b.ReportMetric(millis(p95), "p95-ms")
}

// call makes one call and tells whether it was cold.
func (f functionBench) call(b *testing.B, client *http.Client, to target) string {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+to.address+"/?"+to.query, nil)
	if err != nil {
		b.Error(err)
		return ""
	}
	req.Host = to.host
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return ""
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || n != bodySize {
		b.Errorf("%s answers %d with %d bytes, %v", to.host, resp.StatusCode, n, err)
	}
	return resp.Header.Get("X-Hks-Start")
}

// raw scales a Deployment of the pool's own image from 0 to 1 until its pod
// answers.
func (f functionBench) raw(b *testing.B) {
	f.chill(b, "cold-node", "raw")
	free, _, _ := f.pods(b)
	like := free[0].Spec.DeepCopy()
	labels, none, grace := map[string]string{"hks.dev/raw": "yes"}, int32(0), int64(1)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
		Containers: like.Containers, Volumes: like.Volumes, SecurityContext: like.SecurityContext,
		AutomountServiceAccountToken: like.AutomountServiceAccountToken, EnableServiceLinks: like.EnableServiceLinks, TerminationGracePeriodSeconds: &grace,
	}}
	api := f.set.AppsV1().Deployments(agent.DefaultWorkspace)
	if _, err := api.Create(b.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "raw"}, Spec: appsv1.DeploymentSpec{
		Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template,
	}}, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	scale := func(n int) {
		if _, err := api.Patch(b.Context(), "raw", "application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n), metav1.PatchOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	address := func() string { // of its pod, once it has one
		list, err := f.set.CoreV1().Pods(agent.DefaultWorkspace).List(b.Context(), metav1.ListOptions{LabelSelector: "hks.dev/raw"})
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range list.Items {
			if p.Status.PodIP != "" {
				return p.Status.PodIP
			}
		}
		return ""
	}
	for b.Loop() {
		var times []time.Duration
		for range rawStarts {
			times = append(times, timed(func() {
				scale(1)
				for !answers(address()) {
					time.Sleep(5 * time.Millisecond)
				}
			}))
			scale(0)
			for address() != "" {
				time.Sleep(50 * time.Millisecond)
			}
		}
		b.Logf("%-16s %s, n=%d; no goal: what a cold call would take without the pool", "0 to 1, raw", spread(times), rawStarts)
		b.ReportMetric(millis(at(times, 50)), "p50-ms")
	}
}

// answers tells whether a runtime listens at the pod's address.
func answers(ip string) bool {
	if ip == "" {
		return false
	}
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + net.JoinHostPort(ip, "8080") + "/healthz")
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

func (f functionBench) warm(b *testing.B) {
	through := f.target("cold-node")
	if err := get(http.DefaultClient, through); err != nil {
		b.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	_, busy, _ := f.pods(b)
	for len(busy) != 1 {
		if time.Now().After(deadline) {
			b.Fatalf("%d instances", len(busy))
		}
		time.Sleep(100 * time.Millisecond)
		_, busy, _ = f.pods(b)
	}
	direct := target{address: net.JoinHostPort(busy[0].Status.PodIP, "8081"), host: through.host}
	for b.Loop() {
		straight, called := compare(b, 16*time.Second, paced{rate: functionRate, workers: 8}, direct, through)
		extra := called.p(99) - straight.p(99)
		report(b, "warm", fmt.Sprintf("%d/s: p50 %s, p99 %s against %s, %s straight; p99 %+.2f ms, n=%d",
			functionRate, called.p(50), called.p(99), straight.p(50), straight.p(99), millis(extra), called.sent), "+"+functionExtraP99.String(), extra <= functionExtraP99)
		direct.query, through.query = "wait=5", "wait=5"
		straight, called = compare(b, 16*time.Second, closed{workers: 8}, direct, through)
		ratio := called.rate() / straight.rate()
		report(b, "rate", fmt.Sprintf("%.0f/s against %.0f/s straight = %.0f %%, 8 clients, calls of 5 ms, n=%d", called.rate(), straight.rate(), 100*ratio, called.sent),
			"80 %", ratio >= functionThroughput)
		b.ReportMetric(millis(extra), "p99-extra-ms")
		b.ReportMetric(ratio, "ratio")
	}
}

func (f functionBench) burst(b *testing.B) {
	for b.Loop() {
		f.chill(b, "cold-node", "burst")
		to := f.target("cold-node")
		to.query = "wait=300"
		const calls = 20
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
		var mu sync.Mutex // guards times
		var times []time.Duration
		var group sync.WaitGroup
		for range calls {
			group.Go(func() {
				took := timed(func() { f.call(b, client, to) })
				mu.Lock()
				defer mu.Unlock()
				times = append(times, took)
			})
		}
		group.Wait()
		client.CloseIdleConnections()
		var one agent.Function
		if err := json.Unmarshal([]byte(f.hks(b, "function", "show", "cold-node", "--json")), &one); err != nil {
			b.Fatal(err)
		}
		want := calls / one.Spec.Concurrency
		report(b, "burst", fmt.Sprintf("%d calls of 300 ms at once, %d in a pod: %d pods, %s", calls, one.Spec.Concurrency, one.Instances, spread(times)),
			fmt.Sprintf("%d pods, no error", want), one.Instances <= want && !b.Failed())
	}
}

// idle weighs a free pod by its control group: memory that can't be given back
// at once, and the CPU of half a minute.
func (f functionBench) idle(b *testing.B) {
	for b.Loop() {
		f.chill(b, "cold-node", "idle")
		free, _, _ := f.pods(b)
		before := f.usage(b, free[0].Name)
		time.Sleep(30 * time.Second) // what is measured is that nothing happens
		after := f.usage(b, free[0].Name)
		cpu := float64(after.CPU.UsageCoreNanoSeconds-before.CPU.UsageCoreNanoSeconds) / float64(after.CPU.Time.Sub(before.CPU.Time.Time))
		b.Logf("%-16s %.1f MB, %.2f %% of a core; no goal", "free pod", megabytes(after.Memory.WorkingSetBytes), 100*cpu)
		b.ReportMetric(megabytes(after.Memory.WorkingSetBytes), "MB")
	}
}

type podUsage struct {
	PodRef struct{ Name string } `json:"podRef"`
	CPU    struct {
		Time                 metav1.Time `json:"time"`
		UsageCoreNanoSeconds int64       `json:"usageCoreNanoSeconds"`
	} `json:"cpu"`
	Memory struct {
		WorkingSetBytes int64 `json:"workingSetBytes"`
	} `json:"memory"`
}

func (f functionBench) usage(b *testing.B, pod string) podUsage {
	b.Helper()
	node := strings.TrimSpace(f.kubectl(b, "", "get", "nodes", "--output", "jsonpath={.items[0].metadata.name}"))
	var summary struct {
		Pods []podUsage `json:"pods"`
	}
	text := f.kubectl(b, "", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&summary); err != nil {
		b.Fatal(err)
	}
	for _, p := range summary.Pods {
		if p.PodRef.Name == pod {
			return p
		}
	}
	b.Fatalf("the kubelet has no figures of %s", pod)
	return podUsage{}
}

// at is a percentile.
func at(times []time.Duration, percent int) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[(len(times)-1)*percent/100]
}

func spread(times []time.Duration) string {
	round := func(percent int) time.Duration { return at(times, percent).Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p95 %s, p99 %s", round(50), round(95), round(99))
}

// machine names the load that was on the machine meanwhile.
func machine() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	return fmt.Sprintf("load %s on %d cores", strings.Fields(string(data))[0], runtime.NumCPU())
}
