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
	maxReplicas     = 100 // of an app, where the plan sets none
	maxComponents   = 20
	maxNames        = 44 // of an app and a component together
)

// What an app may use when its owner does not say.
const (
	defaultCPU    = "500m"
	defaultMemory = "256Mi"
)

// probeTCP as a health path asks for the default, a TCP connect. It is how a
// path set by an earlier release is taken back.
const probeTCP = "tcp"

// validate checks a completed configuration against its closed grammars.
func validate(k key, spec agent.Spec, reserved []string) error {
	if len(spec.Components) > maxComponents {
		return refuse("components", len(spec.Components), fmt.Sprintf("%d components are too many", len(spec.Components)), fmt.Sprintf("keep to %d", maxComponents))
	}
	for i, c := range spec.Components {
		if err := validateComponent(k, c, reserved); err != nil {
			return err
		}
		if i > 0 && spec.Components[i-1].Name == c.Name {
			return refuse("components", c.Name, fmt.Sprintf("there are two components %q", c.Name), "give each its own name")
		}
		for _, name := range c.Secrets {
			if _, ok := spec.Env[name]; !ok {
				return refuse("secrets", name, fmt.Sprintf("%s needs the secret %s, which is not set", c.Name, name), k.command("secret set")+" "+name+" sets it; for a new app give it with the deploy: hks deploy --env-file FILE")
			}
		}
	}
	return validateEnv(spec.Env)
}

func validateComponent(k key, c agent.Component, reserved []string) error {
	checks := []func() error{
		func() error { return validateComponentName(k, c.Name) },
		func() error { return validateImage(c.Image) },
		func() error {
			if c.Port == 0 && c.Path == "" && c.Health == "" {
				return nil // a worker
			}
			return agent.ValidatePort(c.Port)
		},
		func() error { return validateEnv(c.Env) },
		func() error { return validateCommand(c.Command) },
		func() error { return validateCommand(c.Release) },
		func() error { return validateQuantity("cpu", c.CPU, "10m", "128", "cores, such as 500m or 2") },
		func() error {
			return validateQuantity("memory", c.Memory, "16Mi", "1Ti", "bytes, such as 256Mi or 2Gi")
		},
		func() error { return validateHost(c.Host, reserved) },
		func() error { return validateVolumes(c) },
	}
	for field, path := range map[string]string{"path": c.Path, "health": c.Health} {
		if path != "" {
			checks = append(checks, func() error { return agent.ValidatePath(field, path) })
		}
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// validateComponentName keeps the names of objects apart from each other, and
// within a DNS label: NAME-production-COMPONENT, and a number.
func validateComponentName(k key, name string) error {
	if err := agent.ValidateName("component", name); err != nil {
		return err
	}
	for _, env := range []agent.Environment{agent.Staging, agent.Production} {
		// Objects of the component a-staging of web would be those of the app web-staging-a.
		if name == string(env) || strings.HasSuffix(name, "-"+string(env)) {
			return refuse("component", name, fmt.Sprintf("a component can't be called %s, since %s is an environment", name, env), "give it another name")
		}
	}
	if name != agent.DefaultComponent && len(k.app)+len(name) > maxNames {
		return refuse("component", name, fmt.Sprintf("the names %s and %s are too long together", k.app, name), fmt.Sprintf("keep to %d characters in all", maxNames))
	}
	return nil
}

func validateHost(host string, reserved []string) error {
	if host == "" {
		return nil
	}
	if slices.Contains(reserved, host) {
		return agent.Errorf(agent.CodeInvalid, "choose another host, such as NAME."+host, "the host %s is the appliance's own", host)
	}
	return agent.ValidateHost(host)
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

// validateReplicas checks numbers of instances against the plan.
func validateReplicas(scale map[string]agent.Scale, plan agent.Plan) error {
	for _, one := range scale {
		if err := one.Validate(); err != nil {
			return err
		}
	}
	replicas := most(scale)
	limit := plan.Pods
	if limit == agent.Unlimited || limit > maxReplicas || limit == 0 {
		limit = maxReplicas
	}
	if replicas > limit {
		return &agent.Error{
			Code:    agent.CodePlanLimit,
			Message: fmt.Sprintf("%d instances are more than the plan %s allows: %d", replicas, plan.Name, limit),
			Fix:     fmt.Sprintf("ask for at most %d", limit),
			Details: map[string]any{"field": "replicas", "asked": replicas, "limit": limit},
		}
	}
	return nil
}

func refuse(field string, value any, message, fix string) *agent.Error {
	return &agent.Error{Code: agent.CodeInvalid, Message: message, Fix: fix, Details: map[string]any{"field": field, "value": value}}
}
