package app

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hks.dev/hks/agent"
)

// carrier moves volumes as told by a test.
type carrier struct {
	mu     sync.Mutex // guards the rest
	at     string     // the node they are on
	to     string     // the node they go to; "": nowhere
	copied bool       // little is left
	fails  error      // of Bring
	undone int
	sure   int // times it was confirmed
	full   bool
}

func (c *carrier) Room(int64) error { return nil }

func (c *carrier) Where(_ context.Context, claims []string) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	where := map[string]string{}
	for _, claim := range claims {
		where[claim] = c.at
		if c.to != "" {
			where[claim] = c.to
		}
	}
	return where, nil
}

func (c *carrier) PlanMove(_ context.Context, claims []string, node string) (agent.VolumePlan, error) {
	if c.full {
		return agent.VolumePlan{}, agent.Errorf(agent.CodeQuotaStorage, "", "%s has no room", node)
	}
	return agent.VolumePlan{Node: node, Volumes: claims, Bytes: 1 << 30}, nil
}

func (c *carrier) Bring(_ context.Context, _ []string, node string, stopped bool) (agent.Bring, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.fails != nil:
		return agent.Bring{}, c.fails
	case c.at == node:
		return agent.Bring{Done: true}, nil
	case c.copied && stopped:
		c.at = node
	}
	c.to = node
	return agent.Bring{Done: c.at == node, Stop: c.copied, Total: 100, Copied: 50}, nil
}

func (c *carrier) Moving(context.Context, []string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to != "", nil
}

func (c *carrier) Undo(context.Context, []string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to == "" {
		return true, nil
	}
	c.at, c.to = "own", ""
	c.undone++
	return false, nil
}

func (c *carrier) Confirm(context.Context, []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = ""
	c.sure++
	return nil
}

func (c *carrier) set(with func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	with()
}

// kept is a served app with a volume on the appliance's own machine.
func kept(t *testing.T) (*world, *carrier) {
	t.Helper()
	w, c := roomy(t), &carrier{at: "own"}
	w.m.cfg.Volumes, w.m.cfg.Nodes = c, machines{shared(), dedicated("prod-1", 8<<30)}
	w.servedWeb(keeping("web:1", "1Gi"))
	return w, c
}

func wait() { settle(); settle(); settle(); settle() } // longer than bringLook

func TestA87AppMovesWithItsVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := kept(t)
		plan, err := w.m.PlanMove(t.Context(), "web", agent.Staging, "dedicated")
		if err != nil || !plan.Fits || plan.Volumes == nil || plan.Pause != 20 || !strings.Contains(strings.Join(plan.Expected, "\n"), "about 20 s without an answer") {
			t.Errorf("the plan: %+v %v", plan, err)
		}
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); err != nil {
			t.Fatal(err)
		}
		wait()
		if d := w.deploymentOf("web"); releaseOf(d.Labels) != 1+c.sure-1 || *d.Spec.Replicas != 1 {
			t.Errorf("while it is copied the deployment is %v with %d", d.Labels, *d.Spec.Replicas)
		}
		c.set(func() { c.copied = true })
		wait()
		if d := w.deploymentOf("web"); *d.Spec.Replicas != 0 || c.at != "own" {
			t.Errorf("its instances were not ended before the switch: %d, at %s", *d.Spec.Replicas, c.at)
		}
		w.dropPods()
		wait()
		d := w.deploymentOf("web")
		if c.at != "prod-1" || releaseOf(d.Labels) != 2 || *d.Spec.Replicas != 1 || d.Spec.Template.Spec.NodeSelector[agent.LabelNodePool] != agent.PoolDedicated {
			t.Errorf("after the switch: at %s, %v %+v", c.at, d.Labels, d.Spec.Template.Spec.NodeSelector)
		}
		w.serveOf("web")
		settle()
		if r := w.release(2); r.Status != agent.ReleaseSucceeded || c.to != "" || c.undone != 0 {
			t.Errorf("the move is %s, %+v", r.Status, c.to)
		}
		if _, err := w.m.Scale(t.Context(), "web", agent.Staging, "web", agent.Fixed(2), "owner"); err == nil || !strings.Contains(err.Error(), "has a volume") {
			t.Errorf("scaled: %v", err)
		}
	})
}

func TestA83AppWhoseCopyNeverStartsGetsItsVolumeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := kept(t)
		c.copied = true
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "prod-1", "owner"); err != nil {
			t.Fatal(err)
		}
		wait()
		w.dropPods()
		wait()
		w.podOf("web", "web-staging-web-2-0", crashed(7, 2))
		wait()
		if r := w.release(2); r.Status != agent.ReleaseFailed {
			t.Fatalf("the move is %s", r.Status)
		}
		if d := w.deploymentOf("web"); *d.Spec.Replicas != 0 || c.undone != 0 {
			t.Errorf("the volume is taken back under its instances: %d, %d", *d.Spec.Replicas, c.undone)
		}
		w.dropPods()
		wait()
		d := w.deploymentOf("web")
		if c.undone != 1 || c.at != "own" || releaseOf(d.Labels) != 1 || *d.Spec.Replicas != 1 || len(d.Spec.Template.Spec.NodeSelector) > 0 {
			t.Errorf("afterwards: undone %d, at %s, %v %d", c.undone, c.at, d.Labels, *d.Spec.Replicas)
		}
	})
}

func TestA83MoveWhoseVolumesCantGoLeavesEverythingAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := kept(t)
		c.full = true
		plan, err := w.m.PlanMove(t.Context(), "web", agent.Staging, "dedicated")
		if err != nil || plan.Fits || !strings.Contains(plan.Reason, "no room") {
			t.Errorf("the plan: %+v %v", plan, err)
		}
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); agent.CodeOf(err) != agent.CodeQuota {
			t.Errorf("moved: %v", err)
		}
		c.full, c.fails = false, agent.Errorf(agent.CodeQuotaStorage, "", "its disk has filled up since")
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); err != nil {
			t.Fatal(err)
		}
		wait()
		if r := w.release(2); r.Status != agent.ReleaseFailed || !strings.Contains(r.Failure.Message, "filled up") {
			t.Errorf("the move is %s: %+v", r.Status, r.Failure)
		}
		if d := w.deploymentOf("web"); releaseOf(d.Labels) != 1 || *d.Spec.Replicas != 1 {
			t.Errorf("its instances: %v %d", d.Labels, *d.Spec.Replicas)
		}
	})
}

func TestA87MoveOfAVolumeSurvivesTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := kept(t)
		if _, err := w.m.Move(t.Context(), "web", agent.Staging, "dedicated", "owner"); err != nil {
			t.Fatal(err)
		}
		again := func() {
			cfg := w.m.cfg
			w.stop()
			w.cfg.Volumes, w.cfg.Nodes = cfg.Volumes, cfg.Nodes
			w.start()
			wait()
		}
		again() // copying
		c.set(func() { c.copied = true })
		again() // its instances end
		w.dropPods()
		again() // switched
		w.serveOf("web")
		again()
		if r := w.release(2); r.Status != agent.ReleaseSucceeded || c.at != "prod-1" || c.sure == 0 {
			t.Errorf("the move is %s, its volume at %s", r.Status, c.at)
		}
	})
}
