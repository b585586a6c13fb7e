package function

import (
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestCompleteRefusesWhatCantBe(t *testing.T) {
	good := func() agent.FunctionDeploy {
		return agent.FunctionDeploy{Spec: agent.FunctionSpec{Name: "hello", Runtime: "nodejs", Entry: "hello"}, Files: map[string][]byte{"index.js": []byte("x")}}
	}
	d := good()
	if err := complete(&d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.Memory != 128 || d.Spec.Timeout != 30 || d.Spec.Concurrency != 10 || d.Spec.Signature != "http" {
		t.Errorf("defaults: %+v", d.Spec)
	}
	for name, c := range map[string]struct {
		change func(*agent.FunctionDeploy)
		says   string
	}{
		"runtime":     {func(d *agent.FunctionDeploy) { d.Spec.Runtime = "cobol" }, "cobol"},
		"entry":       {func(d *agent.FunctionDeploy) { d.Spec.Entry = "../x" }, "entry"},
		"memory":      {func(d *agent.FunctionDeploy) { d.Spec.Memory = 4096 }, "memory"},
		"timeout":     {func(d *agent.FunctionDeploy) { d.Spec.Timeout = 901 }, "1 to 900"},
		"source":      {func(d *agent.FunctionDeploy) { d.Spec.Source = "other.js" }, "other.js"},
		"path out":    {func(d *agent.FunctionDeploy) { d.Files["../x"] = nil }, "path"},
		"no file":     {func(d *agent.FunctionDeploy) { d.Files = nil }, "no source"},
		"too large":   {func(d *agent.FunctionDeploy) { d.Files["big"] = make([]byte, agent.MaxFunctionSource) }, "more than"},
		"requirement": {func(d *agent.FunctionDeploy) { d.Spec.Requires = []string{"A B"} }, "A B"},
	} {
		t.Run(name, func(t *testing.T) {
			d := good()
			c.change(&d)
			if err := complete(&d); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, not %q", err, c.says)
			}
		})
	}
}

func TestAfterFailureBacksOffAndGivesUp(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		letter agent.FunctionLetter
		status string
		pause  time.Duration
	}{
		"first":   {agent.FunctionLetter{Attempts: 1, CreatedAt: now}, "pending", 5 * time.Second},
		"second":  {agent.FunctionLetter{Attempts: 2, CreatedAt: now}, "pending", 30 * time.Second},
		"third":   {agent.FunctionLetter{Attempts: 3, CreatedAt: now}, "dead", 0},
		"too old": {agent.FunctionLetter{Attempts: 1, CreatedAt: now.Add(-7 * time.Hour)}, "dead", 0},
	} {
		t.Run(name, func(t *testing.T) {
			status, next := afterFailure(c.letter, now)
			if status != c.status || next.Sub(now) != c.pause {
				t.Errorf("%s after %s", status, next.Sub(now))
			}
		})
	}
}

func TestPrepareWritesGoMainOfTheModule(t *testing.T) {
	d := agent.FunctionDeploy{Spec: agent.FunctionSpec{Name: "hello", Runtime: "go"}, Files: map[string][]byte{"go.mod": []byte("module example.com/hello\n\ngo 1.26\n")}}
	dockerfile, files, err := prepare(d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(files["hks_function_main/main.go"]), `_ "example.com/hello"`) || !strings.Contains(string(dockerfile), "go\", \"build") {
		t.Errorf("main: %s\nrecipe: %s", files["hks_function_main/main.go"], dockerfile)
	}
	if _, ok := d.Files["hks_function_main/main.go"]; ok {
		t.Error("the source itself was changed")
	}
}

func TestNewPodGivesAwayNothing(t *testing.T) {
	p := newPod(class{"nodejs", 128}, "image")
	c := p.Spec.Containers[0]
	if *p.Spec.AutomountServiceAccountToken || *p.Spec.EnableServiceLinks || !*p.Spec.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem ||
		*c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Capabilities.Drop[0] != "ALL" {
		t.Errorf("the pod is not closed: %+v", p.Spec)
	}
	if p.Labels[agent.LabelRuntime] == "" {
		t.Error("the network policy goes by a label that is missing")
	}
}
