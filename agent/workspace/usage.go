package workspace

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

const (
	usageFresh = time.Second     // a look at the quota serves this long
	usageWait  = 2 * time.Second // for the cluster, when somebody is looking
)

// usage is the last look at the quota.
type usage struct {
	namespace string
	resources []agent.Resource
	at        time.Time
}

// refresh looks at the quota's use and tells listeners of a change. When the
// cluster does not answer, what was seen last stays.
func (m *Manager) refresh(ctx context.Context, namespace string) {
	m.mu.Lock()
	fresh := m.usage.namespace == namespace && m.cfg.Now().Sub(m.usage.at) < usageFresh
	m.mu.Unlock()
	if fresh {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, usageWait)
	defer cancel()
	quota, err := m.cfg.Cluster.Interface().CoreV1().ResourceQuotas(namespace).Get(ctx, objectName, metav1.GetOptions{})
	if err != nil {
		m.cfg.Log.Debug("the quota can't be read now", "namespace", namespace, "error", err)
		return
	}
	resources := resourcesOf(quota)
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := m.usage.namespace != namespace || !slices.Equal(m.usage.resources, resources)
	m.usage = usage{namespace: namespace, resources: resources, at: m.cfg.Now()}
	if !changed {
		return
	}
	row, ok, err := m.cfg.Store.Workspace(context.WithoutCancel(ctx))
	if err != nil || !ok || row.Name != namespace {
		return
	}
	if view, err := m.viewLocked(row); err == nil {
		m.cfg.Publish("workspace", namespace, view)
	}
}

// resourcesOf shows limits rather than requests: they are what the owner sets
// with --cpu and --memory, and what runs out first.
func resourcesOf(quota *corev1.ResourceQuota) []agent.Resource {
	lines := []struct {
		name, unit string
		key        corev1.ResourceName
	}{
		{"cpu", "cores", corev1.ResourceLimitsCPU},
		{"memory", "bytes", corev1.ResourceLimitsMemory},
		{"storage", "bytes", corev1.ResourceRequestsStorage},
		{"pods", "count", corev1.ResourcePods},
	}
	value := func(list corev1.ResourceList, key corev1.ResourceName) float64 {
		q, ok := list[key]
		if !ok {
			q = resource.Quantity{}
		}
		return q.AsApproximateFloat64()
	}
	resources := make([]agent.Resource, 0, len(lines))
	for _, l := range lines {
		resources = append(resources, agent.Resource{
			Name: l.name, Unit: l.unit, Used: value(quota.Status.Used, l.key), Limit: value(quota.Spec.Hard, l.key),
		})
	}
	return resources
}
