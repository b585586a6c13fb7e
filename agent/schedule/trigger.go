package schedule

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// triggerName is the name of the job of a function's trigger, counted from 1.
func triggerName(function string, number int) string {
	if number == 1 {
		return function
	}
	return function + "-" + strconv.Itoa(number)
}

// CheckTriggers refuses cron triggers of a function that FollowTriggers could
// not follow. The function need not be there yet.
func (m *Manager) CheckTriggers(ctx context.Context, function string, triggers []agent.FunctionTrigger) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	own, all, err := m.ofFunction(ctx, function)
	if err != nil {
		return err
	}
	for i, t := range triggers {
		if _, err := Parse(t.Cron, zoneOf(t)); err != nil {
			return err
		}
		name := triggerName(function, i+1)
		if err := agent.ValidateName("cron job", name); err != nil {
			return err
		}
		if _, taken := all[name]; taken && !own[i+1] {
			return agent.Errorf(agent.CodeConflict, "delete it, or leave the trigger out: hks cron delete "+name, "the trigger would make the cron job %s, and there is another of that name", name)
		}
	}
	plan, err := m.cfg.Limit(ctx)
	if err != nil || plan.CronJobs == agent.Unlimited || len(triggers) <= len(own) {
		return err
	}
	if used := len(all) - len(own); used+len(triggers) > plan.CronJobs {
		return tooMany(plan, used, len(triggers))
	}
	return nil
}

// zoneOf is the time zone of a trigger.
func zoneOf(t agent.FunctionTrigger) string { return cmp.Or(t.TimeZone, "UTC") }

// ofFunction are the numbers of the triggers that a function has jobs of, and
// the jobs there are. The caller holds mu.
func (m *Manager) ofFunction(ctx context.Context, function string) (own map[int]bool, all map[string]store.CronJob, err error) {
	jobs, err := m.cfg.Store.CronJobs(ctx)
	if err != nil {
		return nil, nil, err
	}
	own, all = map[int]bool{}, make(map[string]store.CronJob, len(jobs))
	for _, j := range jobs {
		all[j.Name] = j
		if j.Target.Function == function && j.Target.Trigger > 0 {
			own[j.Target.Trigger] = true
		}
	}
	return own, all, nil
}

// FollowTriggers makes the function's cron jobs those that its triggers say:
// what is there stays, with its history and whether it is paused.
func (m *Manager) FollowTriggers(ctx context.Context, function string, triggers []agent.FunctionTrigger, by string) error {
	var gone []string
	err := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		own, all, err := m.ofFunction(ctx, function)
		if err != nil {
			return err
		}
		for i, t := range triggers {
			if err := m.followOne(ctx, all, function, i+1, t, by); err != nil {
				return err
			}
			delete(own, i+1)
		}
		for number := range own {
			gone = append(gone, triggerName(function, number))
		}
		return nil
	}()
	if err != nil {
		return err
	}
	for _, name := range gone {
		if err := m.remove(ctx, name, by); err != nil && agent.CodeOf(err) != agent.CodeNotFound {
			return err
		}
	}
	return nil
}

// followOne makes or changes the job of one trigger. The caller holds mu.
func (m *Manager) followOne(ctx context.Context, all map[string]store.CronJob, function string, number int, t agent.FunctionTrigger, by string) error {
	name := triggerName(function, number)
	target := agent.CronTarget{Function: function, Payload: t.Payload, Trigger: number}
	now := m.cfg.Now().UTC()
	old, there := all[name]
	if there {
		if old.Target.Function != function || old.Target.Trigger != number {
			return agent.Errorf(agent.CodeConflict, "delete it, then deploy the function again: hks cron delete "+name, "there is a cron job %s that is not of this trigger", name)
		}
		if old.Schedule == t.Cron && old.TimeZone == zoneOf(t) && old.Target.Payload == t.Payload {
			return nil
		}
		old.Schedule, old.TimeZone, old.Target, old.Cursor, old.By, old.UpdatedAt = t.Cron, zoneOf(t), target, now, by, now
		_, err := m.put(ctx, old, "cron job %s was changed by its function")
		return err
	}
	j := agent.CronJob{Name: name, Schedule: t.Cron, TimeZone: zoneOf(t), Target: target}
	if err := m.check(ctx, &j); err != nil {
		return err
	}
	if err := m.allow(ctx); err != nil {
		return err
	}
	j.By, j.CreatedAt, j.UpdatedAt = by, now, now
	_, err := m.put(ctx, store.CronJob{CronJob: j, Cursor: now}, "cron job %s was made by its function")
	return err
}

// ofTrigger refuses what the function's next version would undo.
func ofTrigger(j store.CronJob) error {
	if j.Target.Trigger == 0 {
		return nil
	}
	return agent.Errorf(agent.CodeConflict, fmt.Sprintf("change triggers in its function.yaml and deploy again, or pause it: hks cron pause %s", j.Name),
		"%s is kept by trigger %d of the function %s", j.Name, j.Target.Trigger, j.Target.Function)
}

func tooMany(plan agent.Plan, used, asked int) error {
	return &agent.Error{
		Code:    agent.CodePlanLimit,
		Message: fmt.Sprintf("the plan %s allows %d cron jobs, and %d are in use", plan.Name, plan.CronJobs, used),
		Fix:     "delete one with: hks cron delete NAME, or upgrade with: hks plan upgrade pro",
		Details: map[string]any{"limit": plan.CronJobs, "used": used, "asked": asked, "plan": plan.Name},
	}
}
