package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
)

type readyWorkspace struct{}

func (readyWorkspace) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: "dev-workspace", Status: agent.WorkspaceReady}, nil
}

// BenchmarkKubeletsOfThreeHundredPods has the sampler ask for the figures of
// three hundred pods on three nodes: what reading the answers costs, by an
// agent that asks every 15 seconds. The server's own time is in it too.
func BenchmarkKubeletsOfThreeHundredPods(b *testing.B) {
	const pods, nodes, samples, between = 300, 3, 40, 15
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	summaries := make([]stats.Summary, nodes)
	number := func(n uint64) *uint64 { return &n }
	now := metav1.Now()
	for i := range pods {
		p := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "dev-workspace", Name: fmt.Sprintf("app%d-production-7c9d8f6b5-x%04d", i/3, i), UID: types.UID(fmt.Sprintf("uid-%d", i)),
				Labels: map[string]string{agent.LabelApp: fmt.Sprintf("app%d", i/3), agent.LabelEnvironment: "production", agent.LabelRelease: "3"},
			},
			Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%d", i%nodes), Containers: []corev1.Container{{
				Name: "app", Image: "registry.hks.internal/app@sha256:" + strings.Repeat("a", 64),
				Env:       []corev1.EnvVar{{Name: "PORT", Value: "8080"}, {Name: "GREETING", Value: strings.Repeat("x", 200)}},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi"), corev1.ResourceCPU: resource.MustParse("500m")}},
			}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true}}},
		}
		list.Items = append(list.Items, p)
		memory := &stats.MemoryStats{Time: now, UsageBytes: number(1 << 27), WorkingSetBytes: number(1 << 27), RSSBytes: number(1 << 26), PageFaults: number(100), MajorPageFaults: number(1)}
		cpu := &stats.CPUStats{Time: now, UsageNanoCores: number(12_345_678), UsageCoreNanoSeconds: number(987_654_321_000)}
		summaries[i%nodes].Pods = append(summaries[i%nodes].Pods, stats.PodStats{
			PodRef: stats.PodReference{Name: p.Name, Namespace: p.Namespace, UID: string(p.UID)}, StartTime: now, CPU: cpu, Memory: memory,
			Containers: []stats.ContainerStats{{Name: "app", StartTime: now, CPU: cpu, Memory: memory}},
		})
	}
	answers := map[string][]byte{}
	for i := range nodes {
		summaries[i].Node = stats.NodeStats{NodeName: fmt.Sprintf("node-%d", i)}
		answers[fmt.Sprintf("/api/v1/nodes/node-%d/proxy/stats/summary", i)] = encoded(b, summaries[i])
	}
	answers["/api/v1/namespaces/dev-workspace/pods"] = encoded(b, list)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answers[r.URL.Path])
	}))
	b.Cleanup(server.Close)
	set, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		b.Fatal(err)
	}
	source := aiops.Kubelets{Cluster: set, Workspace: readyWorkspace{}}
	for b.Loop() {
		spent, began := cpuTime(b), time.Now()
		for range samples {
			figures, err := source.Sample(b.Context(), false)
			if err != nil || len(figures.Pods) != pods {
				b.Fatalf("%d pods, %v", len(figures.Pods), err)
			}
		}
		core := 100 * (cpuTime(b) - spent).Seconds() / (samples * between)
		b.Logf("%d samples took %s", samples, time.Since(began).Round(time.Millisecond))
		report(b, "CPU", fmt.Sprintf("%.3f %% of a core", core), "<= 0.5 %", core <= 0.5)
		b.ReportMetric(core, "%-of-core")
	}
}

func encoded(b *testing.B, v any) []byte {
	b.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return data
}
