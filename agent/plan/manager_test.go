package plan

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// place is a workspace whose cluster follows when it is told to.
type place struct{ plan, applied string }

func (p *place) Plan(context.Context) (string, string, string, error) {
	return p.plan, p.applied, "", nil
}

func (p *place) SetPlan(_ context.Context, plan, _ string) error {
	p.plan = plan
	return nil
}

func newManager(t *testing.T, p *place, nodes int64) *Manager {
	t.Helper()
	plans, err := New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewManager(ManagerConfig{Plans: plans, Workspace: p, Limits: []Limit{
		{Name: "storage", Unit: "bytes", Of: func(p agent.Plan) int64 { return p.StorageBytes }, Used: func(context.Context) (int64, error) { return 20 << 30, nil }, Free: "delete volumes"},
		{Name: "dedicated nodes", Unit: "count", Of: func(p agent.Plan) int64 { return int64(p.DedicatedNodes) }, Used: func(context.Context) (int64, error) { return nodes, nil }, Free: "remove nodes"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestA88UpgradeIsShownAsApplyingUntilTheClusterHoldsIt(t *testing.T) {
	p := &place{plan: "hobby", applied: "hobby"}
	m := newManager(t, p, 0)
	state, err := m.Change(t.Context(), "pro", "owner")
	if err != nil || state.Plan.Name != "pro" || !state.Applying {
		t.Errorf("at once: %+v %v", state, err)
	}
	p.applied = "pro"
	if state, err = m.Show(t.Context()); err != nil || state.Applying || len(state.Plans) != 2 || state.Usage[1].Limit != agent.Unlimited {
		t.Errorf("then: %+v %v", state, err)
	}
}

func TestA88DowngradeSaysWhatMustGoFirst(t *testing.T) {
	p := &place{plan: "pro", applied: "pro"}
	_, err := newManager(t, p, 1).Change(t.Context(), "hobby", "owner")
	known, ok := errors.AsType[*agent.Error](err)
	if !ok || known.Code != agent.CodePlanLimit || p.plan != "pro" {
		t.Fatalf("it gave %v, the plan is %s", err, p.plan)
	}
	for _, want := range []string{"20.0 GiB of storage", "10.0 GiB", "1 of dedicated nodes"} {
		if !strings.Contains(known.Message, want) {
			t.Errorf("%q does not name %q", known.Message, want)
		}
	}
	if known.Fix != "free it first: delete volumes; remove nodes" {
		t.Errorf("the fix: %q", known.Fix)
	}
}

func TestUnknownPlan(t *testing.T) {
	if _, err := newManager(t, &place{"hobby", "hobby"}, 0).Change(t.Context(), "gold", "owner"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("it gave %v", err)
	}
}

func TestExceededNamesTheWaysOut(t *testing.T) {
	err := Exceeded(agent.Plan{Name: "hobby"}, "cron jobs", 10, 10, "delete one with: hks cron delete NAME")
	if err.Code != agent.CodePlanLimit || !strings.Contains(err.Message, "allows 10 cron jobs") || !strings.Contains(err.Fix, "hks cron delete") || !strings.Contains(err.Fix, "hks plan upgrade pro") {
		t.Errorf("%v; %s", err, err.Fix)
	}
}
