package aiops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"hks.dev/hks/agent"
)

// Namespace tells where apps live.
type Namespace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Kubelets samples every node's kubelet through the API server, one request a
// node (the kubelet's Summary API).
type Kubelets struct {
	Cluster   kubernetes.Interface
	Workspace Namespace
}

// Sample returns the figures of the workspace's pods that belong to an app. A
// node that does not answer is left out, unless none does.
func (k Kubelets) Sample(ctx context.Context) ([]Sample, error) {
	workspace, err := k.Workspace.Current(ctx)
	if agent.CodeOf(err) == agent.CodeNotFound {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("finding the workspace: %w", err)
	}
	if workspace.Status != agent.WorkspaceReady { // there are no apps yet, and no right to look for them
		return nil, nil
	}
	pods, err := k.pods(ctx, workspace.Name)
	if err != nil {
		return nil, err
	}
	nodes := map[string]bool{}
	for _, pod := range pods {
		nodes[pod.Spec.NodeName] = pod.Spec.NodeName != ""
	}
	var samples []Sample
	var failures []error
	for node, placed := range nodes {
		if !placed {
			continue
		}
		summary, err := k.summary(ctx, node)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		samples = append(samples, read(summary, pods)...)
	}
	if len(samples) == 0 {
		return nil, errors.Join(failures...)
	}
	return samples, nil
}

// pods returns the pods of apps by name, from the API server's cache.
func (k Kubelets) pods(ctx context.Context, namespace string) (map[string]*corev1.Pod, error) {
	list, err := k.Cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: agent.LabelApp, ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	byName := make(map[string]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
	}
	return byName, nil
}

func (k Kubelets) summary(ctx context.Context, node string) (*stats.Summary, error) {
	data, err := k.Cluster.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").
		Suffix("stats/summary").Param("only_cpu_and_memory", "true").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("asking node %s for its figures: %w", node, err)
	}
	var summary stats.Summary
	if err := json.Unmarshal(data, &summary); err != nil {
		return nil, fmt.Errorf("reading the figures of node %s: %w", node, err)
	}
	return &summary, nil
}

// read picks the pods known from the summary.
func read(summary *stats.Summary, pods map[string]*corev1.Pod) []Sample {
	var samples []Sample
	for _, s := range summary.Pods {
		pod, ok := pods[s.PodRef.Name]
		if !ok || pod.Namespace != s.PodRef.Namespace || string(pod.UID) != s.PodRef.UID {
			continue
		}
		sample := Sample{
			Namespace: pod.Namespace, Pod: pod.Name, UID: string(pod.UID),
			App: pod.Labels[agent.LabelApp], Environment: agent.Environment(pod.Labels[agent.LabelEnvironment]),
		}
		usage := &sample.Usage
		usage.CPULimit, usage.MemoryLimit = limits(pod)
		if s.CPU != nil && s.CPU.UsageNanoCores != nil {
			usage.CPU, usage.SampledAt = float64(*s.CPU.UsageNanoCores)/1e9, s.CPU.Time.Time
		}
		if s.CPU != nil && s.CPU.UsageCoreNanoSeconds != nil {
			sample.Spent, sample.SpentAt = time.Duration(min(*s.CPU.UsageCoreNanoSeconds, 1<<62)), s.CPU.Time.Time //nolint:gosec // bounded
		}
		if s.Memory != nil && s.Memory.WorkingSetBytes != nil {
			usage.Memory = int64(min(*s.Memory.WorkingSetBytes, 1<<62)) //nolint:gosec // bounded
			usage.SampledAt = later(usage.SampledAt, s.Memory.Time.Time)
		}
		samples = append(samples, sample)
	}
	return samples
}

// limits sums the limits of the pod's containers, in cores and bytes.
func limits(pod *corev1.Pod) (cpu float64, memory int64) {
	for _, c := range pod.Spec.Containers {
		cpu += c.Resources.Limits.Cpu().AsApproximateFloat64()
		memory += c.Resources.Limits.Memory().Value()
	}
	return cpu, memory
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
