package workspace

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
)

const (
	// cpuOvercommit is how many times over CPU may be promised: apps idle most
	// of the time, and when they don't the kernel shares by their requests.
	// Memory is never promised twice: it can't be taken back.
	cpuOvercommit = 4

	maxVolumes = 50 // claims in a workspace, of whatever size

	// The least that a workspace is of use with.
	leastMilliCPU = 250
	leastMemory   = 256 << 20
)

func (b *builder) quotaConfig(ctx context.Context) (*coreac.ResourceQuotaApplyConfiguration, error) {
	pool, err := b.sharedPool(ctx)
	if err != nil {
		return nil, err
	}
	milliCPU := pool.milliCPU * int64(b.plan.CPUPercent) / 100
	memory := pool.memory * int64(b.plan.MemoryPercent) / 100 >> 20 << 20 // whole MiB
	if milliCPU < leastMilliCPU || memory < leastMemory {
		return nil, &agent.Error{
			Code: agent.CodeQuota,
			Message: fmt.Sprintf("the machine is too small: the workspace's share is %.2f cores and %d MiB of memory, it needs at least %.2f cores and %d MiB",
				float64(milliCPU)/1000, memory>>20, float64(leastMilliCPU)/1000, leastMemory>>20),
			Fix: "give the machine more CPU or memory, then try again",
			Details: map[string]any{
				"cpu": float64(milliCPU) / 1000, "memory": memory,
				"leastCPU": float64(leastMilliCPU) / 1000, "leastMemory": leastMemory,
			},
		}
	}
	milliCPU += pool.dedicatedCPU
	memory += pool.dedicatedMemory
	cpu := func(n int64) resource.Quantity { return *resource.NewMilliQuantity(n, resource.DecimalSI) }
	bytes := func(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.BinarySI) }
	count := func(n int) resource.Quantity { return *resource.NewQuantity(int64(n), resource.DecimalSI) }
	hard := corev1.ResourceList{
		corev1.ResourceRequestsCPU:            cpu(milliCPU),
		corev1.ResourceLimitsCPU:              cpu(milliCPU * cpuOvercommit),
		corev1.ResourceRequestsMemory:         bytes(memory),
		corev1.ResourceLimitsMemory:           bytes(memory),
		corev1.ResourcePersistentVolumeClaims: count(maxVolumes),
		// The gateway is the only way in.
		corev1.ResourceServicesNodePorts:     count(0),
		corev1.ResourceServicesLoadBalancers: count(0),
		corev1.ResourcePods:                  count(b.plan.Pods),
		corev1.ResourceRequestsStorage:       bytes(b.plan.StorageBytes),
	}
	return coreac.ResourceQuota(objectName, b.name).WithLabels(b.labels()).WithSpec(coreac.ResourceQuotaSpec().WithHard(hard)), nil
}

type pool struct {
	milliCPU, memory int64

	// Of dedicated nodes, which belong to the workspace as a whole.
	dedicatedCPU, dedicatedMemory int64
}

// sharedPool adds up what the ready shared nodes can allocate, and beside it
// what dedicated ones can.
func (b *builder) sharedPool(ctx context.Context) (pool, error) {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return pool{}, err
	}
	var p pool
	ready := false
	for _, node := range nodes {
		if node.Labels[agent.LabelNodePool] == agent.PoolDedicated {
			p.dedicatedCPU += node.Status.Allocatable.Cpu().MilliValue()
			p.dedicatedMemory += node.Status.Allocatable.Memory().Value()
			continue
		}
		if node.Spec.Unschedulable || !nodeReady(&node) {
			continue
		}
		ready = true
		p.milliCPU += node.Status.Allocatable.Cpu().MilliValue()
		p.memory += node.Status.Allocatable.Memory().Value()
	}
	if !ready {
		return pool{}, agent.Errorf(agent.CodeClusterAway, "wait until the node is ready and try again; the System line of the dashboard shows it",
			"no node of the shared pool is ready")
	}
	return p, nil
}

func (b *builder) nodes(ctx context.Context) ([]corev1.Node, error) {
	list, err := get(ctx, "looking at the nodes", func(ctx context.Context) (*corev1.NodeList, error) {
		return b.set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
