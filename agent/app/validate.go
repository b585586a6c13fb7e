package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/api/resource"

	"hks.dev/hks/agent"
)

// Bounds of a release's configuration.
const (
	maxImageBytes   = 512
	maxEnvNames     = 500
	maxEnvBytes     = 512 << 10 // a Secret holds 1 MiB; the rest is room for base64 and labels
	maxCommandWords = 100
	maxCommandBytes = 32 << 10
	maxReplicas     = 100 // where the plan sets none
)

// What an app may use when its owner does not say.
const (
	defaultCPU    = "500m"
	defaultMemory = "256Mi"
)

// probeTCP as a health path asks for the default, a TCP connect. It is how a
// path set by an earlier release is taken back.
const probeTCP = "tcp"

// complete fills in what the owner left out: from the newest release, else
// from the defaults. Env as a whole is kept when it is nil, a single value
// when it is agent.HiddenValue.
func complete(spec agent.Spec, newest *agent.Spec) (agent.Spec, error) {
	if newest != nil {
		if spec.Image == "" {
			spec.Image = newest.Image
		}
		if spec.Port == 0 {
			spec.Port = newest.Port
		}
		if spec.Command == nil {
			spec.Command = newest.Command
		}
		for _, field := range []struct {
			to   *string
			from string
		}{
			{&spec.CPU, newest.CPU}, {&spec.Memory, newest.Memory}, {&spec.Host, newest.Host},
			{&spec.Path, newest.Path}, {&spec.Health, newest.Health},
		} {
			if *field.to == "" {
				*field.to = field.from
			}
		}
	}
	env, err := keepEnv(spec.Env, newest)
	if err != nil {
		return agent.Spec{}, err
	}
	spec.Env = env
	if spec.CPU == "" {
		spec.CPU = defaultCPU
	}
	if spec.Memory == "" {
		spec.Memory = defaultMemory
	}
	if spec.Path == "" {
		spec.Path = "/"
	}
	if spec.Health == probeTCP {
		spec.Health = ""
	}
	return spec, nil
}

func keepEnv(asked map[string]string, newest *agent.Spec) (map[string]string, error) {
	var before map[string]string
	if newest != nil {
		before = newest.Env
	}
	if asked == nil {
		return before, nil
	}
	env := make(map[string]string, len(asked))
	for name, value := range asked {
		if value == agent.HiddenValue {
			kept, ok := before[name]
			if !ok {
				return nil, refuse("env", name, fmt.Sprintf("there is no earlier value of %s to keep", name), "give its value: KEY=VALUE")
			}
			value = kept
		}
		env[name] = value
	}
	return env, nil
}

// validate checks a completed configuration against its closed grammars.
func validate(spec agent.Spec, reserved []string) error {
	checks := []func() error{
		func() error { return validateImage(spec.Image) },
		func() error { return agent.ValidatePort(spec.Port) },
		func() error { return validateEnv(spec.Env) },
		func() error { return validateCommand(spec.Command) },
		func() error { return validateQuantity("cpu", spec.CPU, "10m", "128", "cores, such as 500m or 2") },
		func() error {
			return validateQuantity("memory", spec.Memory, "16Mi", "1Ti", "bytes, such as 256Mi or 2Gi")
		},
		func() error { return agent.ValidatePath("path", spec.Path) },
		func() error {
			if spec.Host == "" {
				return nil
			}
			if slices.Contains(reserved, spec.Host) {
				return agent.Errorf(agent.CodeInvalid, "choose another host, such as NAME."+spec.Host, "the host %s is the appliance's own", spec.Host)
			}
			return agent.ValidateHost(spec.Host)
		},
		func() error {
			if spec.Health == "" {
				return nil
			}
			return agent.ValidatePath("health", spec.Health)
		},
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func validateImage(ref string) error {
	if len(ref) <= maxImageBytes {
		if _, err := name.ParseReference(ref, name.WeakValidation); err == nil {
			return nil
		}
	}
	return &agent.Error{
		Code:    agent.CodeInvalidImage,
		Message: fmt.Sprintf("%.80q is not the name of an image", ref),
		Fix:     "give NAME:TAG, REGISTRY/NAME:TAG or NAME@sha256:DIGEST; hks image list shows what the appliance has",
		Details: map[string]any{"field": "image", "value": ref},
	}
}

func validateEnv(env map[string]string) error {
	size := 0
	for name, value := range env {
		if err := agent.ValidateEnvName(name); err != nil {
			return err
		}
		if strings.ContainsRune(value, 0) {
			return refuse("env", name, fmt.Sprintf("the value of %s holds a zero byte", name), "encode it, for instance as base64")
		}
		size += len(name) + len(value)
	}
	if len(env) > maxEnvNames || size > maxEnvBytes {
		return refuse("env", len(env), fmt.Sprintf("%d variables with %d bytes are too many", len(env), size),
			fmt.Sprintf("keep to %d variables and %d KiB in all", maxEnvNames, maxEnvBytes>>10))
	}
	return nil
}

func validateCommand(command []string) error {
	size := 0
	for _, word := range command {
		if strings.ContainsRune(word, 0) {
			return refuse("command", word, "the command holds a zero byte", "leave it out")
		}
		size += len(word)
	}
	if len(command) > maxCommandWords || size > maxCommandBytes || (len(command) > 0 && command[0] == "") {
		return refuse("command", len(command), "the command is empty at its begin or too long",
			fmt.Sprintf("keep to %d words and %d KiB", maxCommandWords, maxCommandBytes>>10))
	}
	return nil
}

// validateQuantity checks a limit against the least that can work and the
// most that makes sense on one machine.
func validateQuantity(field, value, least, most, unit string) error {
	q, err := resource.ParseQuantity(value)
	if err != nil || len(value) > 32 {
		return refuse(field, value, fmt.Sprintf("%.40q is not an amount of %s", value, field), "give "+unit)
	}
	if q.Cmp(resource.MustParse(least)) < 0 || q.Cmp(resource.MustParse(most)) > 0 {
		return refuse(field, value, fmt.Sprintf("%s %s is not between %s and %s", field, value, least, most), "give "+unit)
	}
	return nil
}

// validateReplicas checks a number of instances against the plan.
func validateReplicas(replicas int, plan agent.Plan) error {
	if replicas < 1 {
		return refuse("replicas", replicas, fmt.Sprintf("%d instances can't be asked for", replicas), "give 1 or more; hks app stop takes all instances away")
	}
	most := plan.Pods
	if most == agent.Unlimited || most > maxReplicas || most == 0 {
		most = maxReplicas
	}
	if replicas > most {
		return &agent.Error{
			Code:    agent.CodePlanLimit,
			Message: fmt.Sprintf("%d instances are more than the plan %s allows: %d", replicas, plan.Name, most),
			Fix:     fmt.Sprintf("ask for at most %d", most),
			Details: map[string]any{"field": "replicas", "asked": replicas, "limit": most},
		}
	}
	return nil
}

func refuse(field string, value any, message, fix string) *agent.Error {
	return &agent.Error{Code: agent.CodeInvalid, Message: message, Fix: fix, Details: map[string]any{"field": field, "value": value}}
}
