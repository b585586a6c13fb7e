package cluster

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// TestA51CronJobFiresIsKilledAroundAndKeepsItsOutput has a real slot come and
// go while the agent is killed, and tries the rest by hand.
func TestA51CronJobFiresIsKilledAroundAndKeepsItsOutput(t *testing.T) {
	if r := try(t, "cron", "create", "bad", "--schedule", "0 25 * * *", "--image", "page:1"); r.exit != 1 || !strings.Contains(r.stderr, "hour") {
		t.Errorf("A55 a bad hour: exit %d %s", r.exit, r.stderr)
	}
	if r := try(t, "cron", "create", "bad", "--schedule", "0 9 * * *", "--image", "page:nope"); r.exit != 1 {
		t.Errorf("an image that is not there: %s%s", r.stdout, r.stderr)
	}
	remove(t, "timed")
	deploy(t, "timed", "page:1")
	dropCron(t, "each-minute")
	dropCron(t, "by-hand")

	// page prints its version and serves for ever: the run is ended by its
	// timeout, with what it printed.
	job := ask[agent.CronJob](t, "cron", "create", "each-minute", "--schedule", "* * * * *", "--tz", "Europe/Vienna", "--app", "timed", "--timeout", "3s")
	if len(job.Next) != 5 || time.Until(job.Next[0]) > time.Minute+5*time.Second {
		t.Fatalf("its next times: %+v", job)
	}

	// A54 by hand, while the slot comes nearer: a command that fails, then its mend.
	hks(t, "cron", "create", "by-hand", "--schedule", "@yearly", "--app", "timed", "--timeout", "1m", "--", "/app", "exit", "3")
	if r := try(t, "cron", "run", "by-hand"); r.exit != 1 || !strings.Contains(r.stderr, "exit code 3") || !strings.Contains(r.stdout, "leaving with 3") {
		t.Errorf("a run that fails: exit %d %s%s", r.exit, r.stdout, r.stderr)
	}
	hks(t, "cron", "edit", "by-hand", "--", "/app", "env", "VERSION")
	if out := hks(t, "cron", "run", "by-hand"); strings.TrimSpace(out) != "1" {
		t.Errorf("after the mend it printed %q", out)
	}
	last := ask[[]agent.CronRun](t, "cron", "history", "by-hand", "--limit", "1")[0]
	if out := hks(t, "cron", "logs", strconv.FormatInt(last.ID, 10)); strings.TrimSpace(out) != "1" || !last.Manual || last.Status != agent.RunSucceeded {
		t.Errorf("what was kept: %q, %+v", out, last)
	}
	for i := range 8 {
		name := "filler-" + strconv.Itoa(i)
		dropCron(t, name)
		hks(t, "cron", "create", name, "--schedule", "@yearly", "--app", "timed")
	}
	plan := ask[agent.PlanState](t, "plan", "show")
	if r := try(t, "cron", "create", "eleventh", "--schedule", "@yearly", "--app", "timed"); plan.Plan.CronJobs != agent.Unlimited && (r.exit != 1 || !strings.Contains(r.stderr, "hks plan upgrade")) {
		t.Errorf("A56 the eleventh on %s: exit %d %s", plan.Plan.Name, r.exit, r.stderr)
	}
	try(t, "cron", "delete", "eleventh", "--yes")

	slot := ask[agent.CronJob](t, "cron", "show", "each-minute").Next[0]
	time.Sleep(time.Until(slot.Add(-500 * time.Millisecond))) // the slot itself is what is waited for
	kill(t, "agent")
	up(t)
	var run agent.CronRun
	eventually(t, time.Minute, func() string {
		for _, one := range ask[[]agent.CronRun](t, "cron", "history", "each-minute") {
			if run = one; run.Slot.Equal(slot) && run.Status.Done() {
				return ""
			}
		}
		return "the slot's run has not ended"
	})
	if run.Status != agent.RunFailed || !strings.Contains(run.Message, "did not end within 3s") {
		t.Errorf("A57 the run: %+v", run)
	}
	hks(t, "cron", "pause", "each-minute")
	seen := map[time.Time]bool{}
	for _, run := range ask[[]agent.CronRun](t, "cron", "history", "each-minute") {
		if seen[run.Slot] {
			t.Errorf("A96 the slot %s ran twice", run.Slot)
		}
		seen[run.Slot] = true
	}
}

// dropCron deletes a cron job at the end of the test.
func dropCron(t *testing.T, name string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "cron", "delete", name, "--yes")
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "no cron job") {
			t.Logf("deleting %s: %v\n%s", name, err, out)
		}
	})
}
