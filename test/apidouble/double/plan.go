package double

import (
	"context"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/plan"
)

// planned is a workspace that takes a moment to hold another plan.
type planned struct {
	mu            sync.Mutex // guards what follows
	plan, applied string
	at            time.Time
	delay         time.Duration
}

func (p *planned) Plan(context.Context) (string, string, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) >= p.delay {
		p.applied = p.plan
	}
	return p.plan, p.applied, "", nil
}

func (p *planned) SetPlan(_ context.Context, name, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.at = name, time.Now()
	return nil
}

// newPlans is the real manager of plans over that.
func newPlans(speed float64, record func(context.Context, agent.Activity)) (*plan.Manager, error) {
	plans, err := plan.New()
	if err != nil {
		return nil, err
	}
	used := func(n int64) plan.Counter { return func(context.Context) (int64, error) { return n, nil } }
	return plan.NewManager(plan.ManagerConfig{
		Plans: plans, Workspace: &planned{plan: plan.Default, applied: plan.Default, delay: time.Duration(float64(2*time.Second) / speed)}, Record: record,
		Limits: []plan.Limit{
			{Name: "storage", Unit: "bytes", Of: func(p agent.Plan) int64 { return p.StorageBytes }, Used: used(3 << 30), Free: "delete volumes"},
			{Name: "dedicated nodes", Unit: "count", Of: func(p agent.Plan) int64 { return int64(p.DedicatedNodes) }, Used: used(0), Free: "hks node remove NODE"},
		},
	})
}
