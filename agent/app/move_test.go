package app

import (
	"context"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// machines are the nodes of a cluster.
type machines []agent.Node

func (m machines) List(context.Context) ([]agent.Node, error) { return m, nil }

func dedicated(name string, memory int64) agent.Node {
	return agent.Node{
		Name: name, Pool: agent.PoolDedicated, Status: agent.NodeReady,
		CPU: agent.Capacity{Allocatable: 2000}, Memory: agent.Capacity{Allocatable: memory},
	}
}

func shared() agent.Node {
	return agent.Node{
		Name: "own", Own: true, Pool: agent.PoolShared, Status: agent.NodeReady,
		CPU: agent.Capacity{Allocatable: 2000}, Memory: agent.Capacity{Allocatable: 8 << 30},
	}
}

func TestA82MoveIsAReleaseElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.cfg.Nodes = machines{shared(), dedicated("prod-1", 8<<30)}
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}})
		if pod := w.deployment().Spec.Template.Spec; len(pod.NodeSelector) > 0 || len(pod.Tolerations) > 0 {
			t.Errorf("on the shared pool: %v %v", pod.NodeSelector, pod.Tolerations)
		}
		r, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner")
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind != "move" || r.From != 1 || r.Spec.Place != "dedicated" || r.Digests["app"] != digestOf('a') {
			t.Errorf("accepted: %+v", r)
		}
		settle()
		pod := w.deployment().Spec.Template.Spec
		want := corev1.Toleration{Key: agent.TaintDedicated, Operator: corev1.TolerationOpEqual, Value: testNamespace, Effect: corev1.TaintEffectNoSchedule}
		if pod.NodeSelector[agent.LabelNodePool] != agent.PoolDedicated || len(pod.Tolerations) != 1 || pod.Tolerations[0] != want {
			t.Errorf("on the dedicated node: %v %v", pod.NodeSelector, pod.Tolerations)
		}
		w.serve(2)
		w.is(agent.AppRunning, 2)

		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:2"}}}) // stays where it is
		if place := w.deployment().Spec.Template.Spec.NodeSelector[agent.LabelNodePool]; place != agent.PoolDedicated {
			t.Errorf("a deploy brought it to %q", place)
		}
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("moving it where it is: %v", err)
		}
	})
}

func TestA83MoveThatNeverGetsReadyGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.cfg.Nodes = machines{shared(), dedicated("prod-1", 8<<30)}
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}})
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "prod-1", "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		if host := w.deployment().Spec.Template.Spec.NodeSelector[corev1.LabelHostname]; host != "prod-1" {
			t.Errorf("it was placed on %q", host)
		}
		w.pod("web-staging-2-0", crashed(7, 2))
		settle()
		if len(w.deployment().Spec.Template.Spec.NodeSelector) > 0 {
			t.Error("it was not brought back to the shared pool")
		}
		if got := w.release(2); got.Status != agent.ReleaseFailed {
			t.Errorf("the move is %s", got.Status)
		}
	})
}

func TestA84MoveToWhereItDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.cfg.Nodes = machines{shared(), dedicated("tiny", 64<<20)}
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}})
		plan, err := w.m.PlanMove(t.Context(), "web", agent.Staging, "dedicated")
		if err != nil || plan.Fits || plan.Reason == "" || plan.Free.Memory != 64<<20 {
			t.Errorf("the plan: %+v %v", plan, err)
		}
		for to, code := range map[string]agent.Code{"dedicated": agent.CodeQuota, "nowhere": agent.CodeNotFound, "shared": agent.CodeConflict} {
			if _, err := w.m.Move(t.Context(), "web", agent.Staging, to, "owner"); agent.CodeOf(err) != code {
				t.Errorf("to %s: %v", to, err)
			}
		}
	})
}

func TestA89EvacuateBringsBackWhatCouldNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.m.cfg.Nodes = machines{shared(), dedicated("prod-1", 8<<30)}
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}})
		if moving, err := w.m.Evacuate(t.Context(), "prod-1", true, "owner"); err != nil || len(moving) > 0 {
			t.Errorf("of the shared pool: %v %v", moving, err)
		}
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.serve(2)
		if moving, err := w.m.Evacuate(t.Context(), "prod-1", false, "owner"); err != nil || len(moving) > 0 {
			t.Errorf("with another node left: %v %v", moving, err)
		}
		for _, want := range []int{1, 1} { // begun, then on its way
			if moving, err := w.m.Evacuate(t.Context(), "prod-1", true, "owner"); err != nil || len(moving) != want {
				t.Errorf("without: %v %v", moving, err)
			}
		}
		settle()
		w.serve(3)
		if moving, err := w.m.Evacuate(t.Context(), "prod-1", true, "owner"); err != nil || len(moving) > 0 {
			t.Errorf("when it is back: %v %v", moving, err)
		}
	})
}
