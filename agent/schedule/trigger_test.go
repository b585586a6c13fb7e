package schedule

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestTriggersKeepTheirJobs(t *testing.T) {
	b := newBench(t)
	follow := func(triggers ...agent.FunctionTrigger) {
		t.Helper()
		if err := b.CheckTriggers(t.Context(), "report", triggers); err != nil {
			t.Fatal(err)
		}
		if err := b.FollowTriggers(t.Context(), "report", triggers, "ada"); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		t.Helper()
		jobs, err := b.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, j := range jobs {
			list = append(list, j.Name+" "+j.Schedule+" "+j.TimeZone)
		}
		return strings.Join(list, ", ")
	}
	morning, night := agent.FunctionTrigger{Cron: "0 9 * * *", TimeZone: "Europe/Vienna"}, agent.FunctionTrigger{Cron: "0 22 * * *"}
	follow(morning, night)
	if got := names(); got != "report 0 9 * * * Europe/Vienna, report-2 0 22 * * * UTC" {
		t.Fatalf("made %s", got)
	}
	if _, err := b.Pause(t.Context(), "report", "ada"); err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func() error{
		"delete": func() error { return b.Delete(t.Context(), "report", "ada") },
		"edit": func() error {
			_, err := b.Edit(t.Context(), agent.CronJob{Name: "report", Schedule: "@daily", Target: agent.CronTarget{Function: "report"}}, "ada")
			return err
		},
	} {
		if err := act(); agent.CodeOf(err) != agent.CodeConflict || !strings.Contains(err.Error(), "trigger 1 of the function report") {
			t.Errorf("%s by hand: %v", name, err)
		}
	}
	morning.Cron = "0 8 * * *"
	follow(morning)
	if got := names(); got != "report 0 8 * * * Europe/Vienna" {
		t.Errorf("changed to %s", got)
	}
	if j, err := b.Get(t.Context(), "report"); err != nil || !j.Paused {
		t.Errorf("it is paused no more: %+v, %v", j, err)
	}
	follow()
	if got := names(); got != "" {
		t.Errorf("left %s", got)
	}
}

func TestTriggersAreRefusedBeforeAnythingIsMade(t *testing.T) {
	b := newBench(t)
	b.plan.CronJobs = 1
	if _, err := b.Create(t.Context(), agent.CronJob{Name: "report", Schedule: "@daily", Target: agent.CronTarget{Image: "x"}}, "ada"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		function string
		trigger  agent.FunctionTrigger
		says     string
	}{
		"over the plan":    {"other", agent.FunctionTrigger{Cron: "@daily"}, "allows 1 cron jobs"},
		"a name in use":    {"report", agent.FunctionTrigger{Cron: "@daily"}, "another of that name"},
		"no schedule":      {"other", agent.FunctionTrigger{Cron: "0 25 * * *"}, "hour"},
		"no such timezone": {"other", agent.FunctionTrigger{Cron: "@daily", TimeZone: "Mars"}, "Mars"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := b.CheckTriggers(t.Context(), c.function, []agent.FunctionTrigger{c.trigger}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}
