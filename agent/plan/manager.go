package plan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"hks.dev/hks/agent"
)

// Workspace holds the plan in force and its limits in the cluster.
type Workspace interface {
	// Plan returns the plan, and the one whose limits the cluster holds: while
	// they differ the change is on its way. reason says what it waits for.
	Plan(ctx context.Context) (plan, applied, reason string, err error)
	SetPlan(ctx context.Context, plan, by string) error
}

// Counter tells how much there is of what a plan limits.
type Counter func(ctx context.Context) (int64, error)

// Limit is one line of a plan.
type Limit struct {
	Name string // as people call it
	Unit string // count or bytes
	Of   func(agent.Plan) int64
	Used Counter
	Free string // how to free some of it: a command
}

// ManagerConfig is what the manager needs.
type ManagerConfig struct {
	Plans     *Plans
	Workspace Workspace
	Limits    []Limit
	Record    func(context.Context, agent.Activity)
	Log       *slog.Logger
}

// Manager shows the plan and changes it. It is safe for concurrent use.
type Manager struct{ cfg ManagerConfig }

// NewManager checks the settings.
func NewManager(cfg ManagerConfig) (*Manager, error) {
	if cfg.Plans == nil || cfg.Workspace == nil {
		return nil, errors.New("plans need their list and a workspace")
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg}, nil
}

// Show tells the plan and what is used of it.
func (m *Manager) Show(ctx context.Context) (agent.PlanState, error) {
	name, applied, reason, err := m.cfg.Workspace.Plan(ctx)
	if err != nil {
		return agent.PlanState{}, err
	}
	current, err := m.cfg.Plans.Lookup(name)
	if err != nil {
		return agent.PlanState{}, err
	}
	state := agent.PlanState{Plan: current, Applying: name != applied, Reason: reason, Usage: []agent.PlanUsage{}}
	for _, limit := range m.cfg.Limits {
		used, err := limit.Used(ctx)
		if err != nil {
			return agent.PlanState{}, fmt.Errorf("counting %s: %w", limit.Name, err)
		}
		state.Usage = append(state.Usage, agent.PlanUsage{Name: limit.Name, Unit: limit.Unit, Used: used, Limit: limit.Of(current)})
	}
	for _, name := range m.cfg.Plans.Names() {
		plan, err := m.cfg.Plans.Lookup(name)
		if err != nil {
			return agent.PlanState{}, err
		}
		state.Plans = append(state.Plans, plan)
	}
	return state, nil
}

// Change makes another plan the one in force. It interrupts nothing; a plan
// with too little of what is in use is refused, with what must go first. The
// limits follow in the cluster, and an interrupted change is finished after a
// restart: the plan is on disk when Change returns.
func (m *Manager) Change(ctx context.Context, name, by string) (agent.PlanState, error) {
	next, err := m.cfg.Plans.Lookup(name)
	if err != nil {
		return agent.PlanState{}, err
	}
	before, err := m.Show(ctx)
	if err != nil {
		return agent.PlanState{}, err
	}
	if before.Plan.Name == name {
		return before, nil
	}
	if err := m.fits(next, before.Usage); err != nil {
		return agent.PlanState{}, err
	}
	if err := m.cfg.Workspace.SetPlan(ctx, name, by); err != nil {
		return agent.PlanState{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "plan", Message: fmt.Sprintf("the plan is %s now, it was %s", name, before.Plan.Name), By: by})
	return m.Show(ctx)
}

// fits refuses a plan with too little of what is in use.
func (m *Manager) fits(next agent.Plan, usage []agent.PlanUsage) error {
	var over, free []string
	details := map[string]any{"plan": next.Name}
	for i, limit := range m.cfg.Limits {
		allowed, used := limit.Of(next), usage[i].Used
		if allowed == agent.Unlimited || used <= allowed {
			continue
		}
		over = append(over, fmt.Sprintf("%s of %s are in use, and it has %s", Amount(used, limit.Unit), limit.Name, Amount(allowed, limit.Unit)))
		free = append(free, limit.Free)
		details[limit.Name] = map[string]int64{"used": used, "limit": allowed}
	}
	if len(over) == 0 {
		return nil
	}
	return &agent.Error{
		Code: agent.CodePlanLimit, Message: fmt.Sprintf("the plan %s is too small: %s", next.Name, strings.Join(over, "; ")),
		Fix: "free it first: " + strings.Join(free, "; "), Details: details,
	}
}

// Exceeded is the error of one more of something than the plan has.
func Exceeded(p agent.Plan, what string, used, limit int64, free string) *agent.Error {
	return &agent.Error{
		Code:    agent.CodePlanLimit,
		Message: fmt.Sprintf("the plan %s allows %d %s, and %d are in use", p.Name, limit, what, used),
		Fix:     free + ", or upgrade with: hks plan upgrade pro",
		Details: map[string]any{"used": used, "asked": 1, "limit": limit, "plan": p.Name},
	}
}

// Amount writes an amount for people.
func Amount(n int64, unit string) string {
	if unit == "bytes" {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprint(n)
}
