package plan

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestPlans(t *testing.T) {
	plans, err := New()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]agent.Plan{
		"hobby": {Name: "hobby", Workspaces: 1, Functions: 5, CronJobs: 10, StorageBytes: 10 << 30, Pods: 50, CPUPercent: 80, MemoryPercent: 75},
		"pro": {
			Name: "pro", Workspaces: 1, Functions: agent.Unlimited, CronJobs: agent.Unlimited, StorageBytes: 100 << 30,
			DedicatedNodes: agent.Unlimited, BackupDays: 7, Pods: 200, CPUPercent: 80, MemoryPercent: 75,
		},
	}
	for name, w := range want {
		if got, err := plans.Lookup(name); err != nil || got != w {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := plans.Lookup("gold"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("an unknown plan gave %v", err)
	}
}

func TestPlansRefused(t *testing.T) {
	good := string(file)
	tests := map[string]struct{ text, want string }{
		"unknown key":   {strings.Replace(good, "pods: 50", "pods: 50\n  pdos: 1", 1), "pdos"},
		"missing key":   {strings.Replace(good, "  pods: 50\n", "", 1), "pods is missing"},
		"no storage":    {strings.Replace(good, "  storage: 10Gi\n", "", 1), "storage is missing"},
		"bad storage":   {strings.Replace(good, "10Gi", "lots", 1), `"lots"`},
		"negative":      {strings.Replace(good, "functions: 5", "functions: -5", 1), "below 0"},
		"not a count":   {strings.Replace(good, "functions: 5", "functions: five", 1), "neither a count"},
		"over 100":      {strings.Replace(good, "cpuPercent: 80", "cpuPercent: 180", 1), "between 1 and 100"},
		"no hobby plan": {strings.Replace(good, "hobby:", "small:", 1), "no plan hobby"},
		"no pods":       {strings.Replace(good, "pods: 50", "pods: 0", 1), "above 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want it to contain %q", err, tt.want)
			}
		})
	}
}
