package schedule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"hks.dev/hks/agent"
)

// check completes a job and refuses what could never run.
func (m *Manager) check(ctx context.Context, j *agent.CronJob) error {
	if err := agent.ValidateName("cron job", j.Name); err != nil {
		return err
	}
	j.TimeZone = cmp.Or(j.TimeZone, "UTC")
	j.Concurrency = cmp.Or(j.Concurrency, agent.ConcurrencyForbid)
	j.CatchUp = cmp.Or(j.CatchUp, agent.CatchUpOne)
	j.Deadline = cmp.Or(j.Deadline, defaultDeadline)
	j.Timeout = cmp.Or(j.Timeout, defaultTimeout)
	if _, err := Parse(j.Schedule, j.TimeZone); err != nil {
		return err
	}
	for field, choice := range map[string]struct {
		value string
		known []string
	}{
		"concurrency": {j.Concurrency, []string{agent.ConcurrencyForbid, agent.ConcurrencyAllow, agent.ConcurrencyReplace, agent.ConcurrencyQueue}},
		"catchUp":     {j.CatchUp, []string{agent.CatchUpNone, agent.CatchUpOne, agent.CatchUpAll}},
	} {
		if !slices.Contains(choice.known, choice.value) {
			return refuse(field, choice.value, fmt.Sprintf("%s %q is none of %v", field, choice.value, choice.known))
		}
	}
	if j.Deadline < slack || j.Timeout <= 0 || j.Timeout > mostTimeout {
		return refuse("timeout", j.Timeout.String(), fmt.Sprintf("the deadline is at least %s, and the timeout between a second and %s", slack, mostTimeout))
	}
	return m.checkTarget(ctx, &j.Target)
}

func (m *Manager) checkTarget(ctx context.Context, t *agent.CronTarget) error {
	given := 0
	for _, value := range []string{t.Function, t.Image, t.App} {
		if value != "" {
			given++
		}
	}
	if given != 1 {
		return refuse("target", "", "a cron job runs a function, an image, or a command of an app: give exactly one")
	}
	executor, err := m.executor(*t)
	if err != nil {
		return err
	}
	if t.Payload != "" && (t.Function == "" || !json.Valid([]byte(t.Payload))) {
		return refuse("payload", t.Payload, "a payload is JSON, for a function")
	}
	if t.App != "" {
		t.Environment = cmp.Or(t.Environment, agent.Staging)
	}
	return executor.Check(ctx, *t)
}

func refuse(field, value, message string) *agent.Error {
	return &agent.Error{Code: agent.CodeInvalid, Message: message, Fix: "see: hks cron create --help", Details: map[string]any{"field": field, "value": value}}
}

// executor is who runs a target.
func (m *Manager) executor(t agent.CronTarget) (Executor, error) {
	if t.Function == "" {
		return m.cfg.Containers, nil
	}
	if m.cfg.Functions == nil {
		return nil, agent.Errorf(agent.CodeNotFound, "run an image or a command of an app instead", "there is no function %q", t.Function)
	}
	return m.cfg.Functions, nil
}

// allow holds the plan's limit of cron jobs.
func (m *Manager) allow(ctx context.Context) error {
	plan, err := m.cfg.Limit(ctx)
	if err != nil || plan.CronJobs == agent.Unlimited {
		return err
	}
	used, err := m.Count(ctx)
	if err != nil || used < int64(plan.CronJobs) {
		return err
	}
	return tooMany(plan, int(used), 1)
}
