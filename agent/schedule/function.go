package schedule

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

// Invoker calls functions.
type Invoker interface {
	Get(ctx context.Context, name string) (agent.Function, error)
	Invoke(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error)
}

// Functions runs functions by a call of theirs.
type Functions struct{ invoker Invoker }

// NewFunctions makes what runs functions.
func NewFunctions(invoker Invoker) *Functions { return &Functions{invoker} }

// Check refuses a function that is not there.
func (f *Functions) Check(ctx context.Context, t agent.CronTarget) error {
	_, err := f.invoker.Get(ctx, t.Function)
	return err
}

// Run calls the function once. An answer of 400 or more is a failure.
func (f *Functions) Run(ctx context.Context, j agent.CronJob, r agent.CronRun) (Outcome, error) {
	found, err := f.invoker.Get(ctx, j.Target.Function)
	if err != nil {
		return Outcome{}, err
	}
	call := agent.FunctionCall{Payload: []byte(j.Target.Payload), Headers: map[string]string{}}
	if j.Target.Payload != "" {
		call.Headers["Content-Type"] = "application/json"
	}
	if found.Spec.Signature == "cloudevent" {
		call.Headers["Ce-Specversion"], call.Headers["Ce-Type"] = "1.0", agent.EventCron
		call.Headers["Ce-Source"], call.Headers["Ce-Id"] = "/hks/cron/"+j.Name, strconv.FormatInt(r.ID, 10)
		call.Headers["Ce-Time"] = r.Slot.UTC().Format(time.RFC3339)
	}
	answer, err := f.invoker.Invoke(ctx, j.Target.Function, call)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Output: answer.Body}
	if answer.Status >= http.StatusBadRequest {
		o.Failed, o.Message = true, fmt.Sprintf("the function answered %d %s", answer.Status, http.StatusText(answer.Status))
	}
	return o, nil
}

// End does nothing: a call ends with its context.
func (f *Functions) End(context.Context, agent.CronJob, agent.CronRun) error { return nil }
