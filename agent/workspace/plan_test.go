package workspace

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// storage is the quota's limit of storage, in GiB.
func (b *bench) storage(t *testing.T) int64 {
	t.Helper()
	quota, err := b.cfg.Cluster.Interface().CoreV1().ResourceQuotas("dev-workspace").Get(t.Context(), objectName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	limit := quota.Spec.Hard[corev1.ResourceRequestsStorage]
	return limit.Value() >> 30
}

func TestA88PlanIsAppliedAndFinishedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := newCluster(), &rows{}
		b := newBench(t, c, r)
		b.start()
		if _, err := b.Create(t.Context(), "dev-workspace", "owner"); err != nil {
			t.Fatal(err)
		}
		b.ready("dev-workspace")
		if err := b.SetPlan(t.Context(), "gold", "owner"); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("an unknown plan: %v", err)
		}
		b.end() // the agent dies before the cluster has it
		if err := b.SetPlan(t.Context(), "pro", "owner"); err != nil {
			t.Fatal(err)
		}
		if plan, applied, _, err := b.Plan(t.Context()); err != nil || plan != "pro" || applied != "hobby" || b.storage(t) != 10 {
			t.Errorf("before the restart: %s %s %v", plan, applied, err)
		}
		b = newBench(t, c, r)
		b.start()
		time.Sleep(time.Minute)
		if plan, applied, _, err := b.Plan(t.Context()); err != nil || plan != "pro" || applied != "pro" || b.storage(t) != 100 {
			t.Errorf("after it: %s %s %v, %d GiB", plan, applied, err, b.storage(t))
		}
	})
}

func TestDedicatedNodesBelongToTheWorkspaceAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := newBench(t, c, &rows{})
		b.start()
		if _, err := b.Create(t.Context(), "dev-workspace", "owner"); err != nil {
			t.Fatal(err)
		}
		b.ready("dev-workspace")
		_, err := c.set.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "prod-1", Labels: map[string]string{agent.LabelNodePool: agent.PoolDedicated}},
			Status:     corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi")}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b.Refit()
		time.Sleep(time.Second)
		quota, err := c.set.CoreV1().ResourceQuotas("dev-workspace").Get(t.Context(), objectName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if memory := quota.Spec.Hard[corev1.ResourceLimitsMemory]; memory.Value() != 7<<30 {
			t.Errorf("memory: %s", memory.String())
		}
	})
}
