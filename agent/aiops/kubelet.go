package aiops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"hks.dev/hks/agent"
)

// Namespace tells where workloads live.
type Namespace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Kubelets samples every node's kubelet through the API server, one request a
// node (the kubelet's Summary API).
type Kubelets struct {
	Cluster   kubernetes.Interface
	Workspace Namespace
}

// Sample returns the figures of the workspace's pods and of the nodes that
// they are on; whole has filesystems measured too. A node that does not answer
// is left out, unless none does.
func (k Kubelets) Sample(ctx context.Context, whole bool) (Figures, error) {
	workspace, err := k.Workspace.Current(ctx)
	if agent.CodeOf(err) == agent.CodeNotFound {
		return Figures{}, nil
	} else if err != nil {
		return Figures{}, fmt.Errorf("finding the workspace: %w", err)
	}
	if workspace.Status != agent.WorkspaceReady { // there is nothing in it yet, and no right to look
		return Figures{}, nil
	}
	pods, err := k.pods(ctx, workspace.Name)
	if err != nil {
		return Figures{}, err
	}
	nodes := map[string]bool{}
	for _, pod := range pods {
		nodes[pod.Spec.NodeName] = pod.Spec.NodeName != ""
	}
	var figures Figures
	var failures []error
	for node, placed := range nodes {
		if !placed {
			continue
		}
		summary, err := k.summary(ctx, node, whole)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		figures.Pods = append(figures.Pods, read(summary, pods)...)
		figures.Volumes = append(figures.Volumes, readVolumes(summary, pods)...)
		figures.Nodes = append(figures.Nodes, readNode(node, summary.Node))
	}
	if len(figures.Pods) == 0 {
		return Figures{}, errors.Join(failures...)
	}
	return figures, nil
}

func (k Kubelets) pods(ctx context.Context, namespace string) (map[string]*corev1.Pod, error) {
	list, err := k.Cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	byName := make(map[string]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
	}
	return byName, nil
}

func (k Kubelets) summary(ctx context.Context, node string, whole bool) (*stats.Summary, error) {
	data, err := k.Cluster.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").
		Suffix("stats/summary").Param("only_cpu_and_memory", strconv.FormatBool(!whole)).Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("asking node %s for its figures: %w", node, err)
	}
	var summary stats.Summary
	if err := json.Unmarshal(data, &summary); err != nil {
		return nil, fmt.Errorf("reading the figures of node %s: %w", node, err)
	}
	return &summary, nil
}

// known finds the pod that figures are of; a later pod of the same name is
// another one.
func known(s stats.PodStats, pods map[string]*corev1.Pod) (*corev1.Pod, bool) {
	pod, ok := pods[s.PodRef.Name]
	return pod, ok && pod.Namespace == s.PodRef.Namespace && string(pod.UID) == s.PodRef.UID
}

// read takes from a node's figures those of known pods. Their processors'
// figure is the kubelet's own estimate, which may look at a moment of a
// second: the sampler, which has a sample to compare with, works out better.
func read(summary *stats.Summary, pods map[string]*corev1.Pod) []Sample {
	var samples []Sample
	for _, s := range summary.Pods {
		pod, ok := known(s, pods)
		if !ok {
			continue
		}
		sample := Sample{
			Namespace: pod.Namespace, Pod: pod.Name, UID: string(pod.UID), Node: pod.Spec.NodeName, Subject: subjectOf(pod),
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
			usage.Memory = bounded(s.Memory.WorkingSetBytes)
			usage.SampledAt = later(usage.SampledAt, s.Memory.Time.Time)
		}
		for _, c := range s.Containers {
			if figures, ok := readContainer(c, pod); ok {
				sample.Containers = append(sample.Containers, figures)
			}
		}
		samples = append(samples, sample)
	}
	return samples
}

func readContainer(c stats.ContainerStats, pod *corev1.Pod) (ContainerFigures, bool) {
	if c.Memory == nil || c.Memory.RSSBytes == nil {
		return ContainerFigures{}, false
	}
	figures := ContainerFigures{Name: c.Name, RSS: bounded(c.Memory.RSSBytes), WorkingSet: bounded(c.Memory.WorkingSetBytes)}
	if c.CPU != nil && c.CPU.UsageNanoCores != nil {
		figures.CPU = float64(*c.CPU.UsageNanoCores) / 1e9
	}
	for _, spec := range pod.Spec.Containers {
		if spec.Name == c.Name {
			figures.Limit = spec.Resources.Limits.Memory().Value()
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == c.Name {
			figures.Restarts = int(status.RestartCount)
		}
	}
	return figures, true
}

func readVolumes(summary *stats.Summary, pods map[string]*corev1.Pod) []VolumeFigures {
	var volumes []VolumeFigures
	for _, s := range summary.Pods {
		pod, ok := known(s, pods)
		if !ok {
			continue
		}
		for _, v := range s.VolumeStats {
			if v.PVCRef != nil && v.UsedBytes != nil && v.AvailableBytes != nil {
				used := bounded(v.UsedBytes)
				volumes = append(volumes, VolumeFigures{Claim: v.PVCRef.Name, Pod: pod.Name, Subject: subjectOf(pod), Used: used, Capacity: used + bounded(v.AvailableBytes)})
			}
		}
	}
	return volumes
}

func readNode(name string, s stats.NodeStats) NodeFigures {
	figures := NodeFigures{Name: name}
	if s.CPU != nil && s.CPU.UsageNanoCores != nil {
		figures.CPU = float64(*s.CPU.UsageNanoCores) / 1e9
	}
	if s.Memory != nil {
		figures.Memory = bounded(s.Memory.WorkingSetBytes)
	}
	if s.Fs != nil && s.Fs.CapacityBytes != nil && s.Fs.AvailableBytes != nil {
		figures.DiskCapacity = bounded(s.Fs.CapacityBytes)
		figures.DiskUsed = figures.DiskCapacity - bounded(s.Fs.AvailableBytes)
	}
	return figures
}

func bounded(v *uint64) int64 {
	if v == nil {
		return 0
	}
	return int64(min(*v, 1<<62)) //nolint:gosec // bounded
}

// limits sums the limits of a pod's containers; 0 where there is none.
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
