package function

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"hks.dev/hks/agent"
)

// runtimes by name: the image of their pods.
var runtimes = map[string]string{
	"nodejs": agent.RegistryHost + "/hks/fn-node:24",
	"python": agent.RegistryHost + "/hks/fn-python:3.13",
	"go":     agent.RegistryHost + "/hks/fn-go:1",
}

const (
	maxTimeout     = 900 // seconds
	maxConcurrency = 1000
	maxInstances   = 20
	maxEnv         = 4 << 10 // bytes of names and values
	maxTriggers    = 10
)

var (
	entryPattern    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	eventPattern    = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._/-]{0,126}[A-Za-z0-9*]|[A-Za-z0-9*])$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

func invalid(field, format string, args ...any) error {
	return &agent.Error{
		Code: agent.CodeInvalid, Message: fmt.Sprintf(format, args...), Fix: "correct " + field + " in function.yaml",
		Details: map[string]any{"field": field},
	}
}

// complete puts defaults in and refuses what can't be.
func complete(d *agent.FunctionDeploy) error {
	s := &d.Spec
	if err := agent.ValidateName("function", s.Name); err != nil {
		return err
	}
	if _, ok := runtimes[s.Runtime]; !ok {
		return invalid("runtime", "the runtime %q is not known: it is nodejs, python or go", s.Runtime)
	}
	if !entryPattern.MatchString(s.Entry) {
		return invalid("entry", "entry names the exported function, and %q can't be one", s.Entry)
	}
	if s.Signature == "" {
		s.Signature = "http"
	}
	if s.Signature != "http" && s.Signature != "cloudevent" {
		return invalid("signature", "the signature %q is not known: it is http or cloudevent", s.Signature)
	}
	for _, n := range []struct {
		field            string
		value            *int
		least, most, def int
	}{
		{"memory", &s.Memory, 128, 512, 128}, {"timeout", &s.Timeout, 1, maxTimeout, 30}, {"concurrency", &s.Concurrency, 1, maxConcurrency, 10},
		{"maxInstances", &s.MaxInstances, 1, maxInstances, 5}, {"idle", &s.Idle, 5, 86400, 300}, {"minWarm", &s.MinWarm, 0, maxInstances, 0},
	} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < n.least || *n.value > n.most {
			return invalid(n.field, "%s is %d, and may be %d to %d", n.field, *n.value, n.least, n.most)
		}
	}
	if s.Memory != 128 && s.Memory != 256 && s.Memory != 512 {
		return invalid("memory", "memory is %d, and may be 128, 256 or 512 MiB", s.Memory)
	}
	for _, name := range s.Requires {
		if !variablePattern.MatchString(name) {
			return invalid("requires", "%q is no name of a variable", name)
		}
	}
	if err := checkTriggers(s.Triggers); err != nil {
		return err
	}
	return checkFiles(d)
}

func checkTriggers(triggers []agent.FunctionTrigger) error {
	if len(triggers) > maxTriggers {
		return invalid("triggers", "%d triggers are more than the %d that a function may have", len(triggers), maxTriggers)
	}
	for i, t := range triggers {
		switch {
		case (t.Cron == "") == (t.Event == ""):
			return invalid("triggers", "trigger %d has cron or event, one of them", i+1)
		case t.Event != "" && (t.TimeZone != "" || t.Payload != ""):
			return invalid("triggers", "trigger %d: timeZone and payload belong to cron", i+1)
		case t.Event != "" && !eventPattern.MatchString(t.Event):
			return invalid("triggers", "trigger %d: %q is no type of an event, such as com.example.uploaded or com.example.*", i+1, t.Event)
		}
	}
	return nil
}

func checkFiles(d *agent.FunctionDeploy) error {
	if d.Spec.Source != "" && d.Files[d.Spec.Source] == nil {
		return invalid("source", "the file %s is not among those that were sent", d.Spec.Source)
	}
	size := 0
	for name, content := range d.Files {
		if !filepath.IsLocal(name) || path.Clean(name) != name || strings.Contains(name, `\`) || strings.HasPrefix(name, ".hks") {
			return invalid("files", "%q is no path of a file", name)
		}
		size += len(content)
	}
	if len(d.Files) == 0 {
		return agent.Errorf(agent.CodeInvalid, "hks function init writes a first one", "there is no source")
	}
	if size > agent.MaxFunctionSource {
		return agent.Errorf(agent.CodeTooLarge, "leave out what is not needed; dependencies are fetched at deploy", "the source has %d bytes, more than the %d allowed", size, agent.MaxFunctionSource)
	}
	return nil
}

// checkEnv refuses an environment that is too large or misnamed.
func checkEnv(env map[string]string) error {
	size := 0
	for name, value := range env {
		if !variablePattern.MatchString(name) || strings.HasPrefix(name, "HKS_") || name == "PORT" || name == "LD_PRELOAD" || name == "NODE_OPTIONS" {
			return agent.Errorf(agent.CodeInvalid, "choose another name", "%q can't be a variable of a function", name)
		}
		size += len(name) + len(value)
	}
	if size > maxEnv {
		return agent.Errorf(agent.CodeTooLarge, "unset what is not needed", "the environment has %d bytes, more than the %d allowed", size, maxEnv)
	}
	return nil
}
