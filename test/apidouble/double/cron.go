package double

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/schedule"
	"hks.dev/hks/agent/store"
)

// newCron is the real keeper of cron jobs over made-up containers.
func newCron(s *store.Store, dir string, plan func(context.Context) (agent.Plan, error), publish func(string, string, any), record func(context.Context, agent.Activity)) (*schedule.Manager, error) {
	return schedule.New(schedule.Config{Store: s, Containers: containers{}, Limit: plan, Dir: filepath.Join(dir, "cron"), Publish: publish, Record: record})
}

// containers run what they are told to: sleep takes its time, exit fails, and
// all else is printed.
type containers struct{}

func (containers) Check(context.Context, agent.CronTarget) error { return nil }

func (containers) Run(ctx context.Context, j agent.CronJob, _ agent.CronRun) (schedule.Outcome, error) {
	command := j.Target.Command
	if len(command) == 2 && command[0] == "sleep" {
		seconds, _ := strconv.Atoi(command[1])
		select {
		case <-ctx.Done():
			return schedule.Outcome{}, ctx.Err()
		case <-time.After(time.Duration(seconds) * time.Second):
		}
	}
	if len(command) == 2 && command[0] == "exit" {
		code, _ := strconv.Atoi(command[1])
		return schedule.Outcome{Failed: code != 0, ExitCode: &code, Message: fmt.Sprintf("it ended with exit code %d", code), Output: []byte("the database is not there\n")}, nil
	}
	code := 0
	return schedule.Outcome{ExitCode: &code, Output: fmt.Appendf(nil, "%s\n", command)}, nil
}

func (containers) End(context.Context, agent.CronJob, agent.CronRun) error { return nil }
