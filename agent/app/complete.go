package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"hks.dev/hks/agent"
)

// complete makes the configuration of the next release: what the owner leaves
// out is as in the newest one, else as by default. Kept names the components
// whose image was left out, so that it stays the very same.
func complete(d agent.Deploy, newest agent.Spec) (spec agent.Spec, kept []string, err error) {
	if spec.Env, err = keepEnv(d.Env, newest.Env); err != nil {
		return agent.Spec{}, nil, err
	}
	spec.Env = patched(spec.Env, d.Patch)
	switch {
	case d.Components != nil && d.Change != nil:
		return agent.Spec{}, nil, refuse("change", nil, "components and change can't both be given", "give all components, or what to change in them")
	case d.Components != nil:
		spec.Components = slices.Clone(d.Components)
	default:
		if spec.Components, kept, err = change(newest.Components, d.Change); err != nil {
			return agent.Spec{}, nil, err
		}
	}
	spec.Place = newest.Place
	if len(spec.Components) == 0 {
		return agent.Spec{}, nil, refuse("components", nil, "the app has no component yet", "give it an image: hks deploy --image IMAGE --port PORT")
	}
	for i := range spec.Components {
		withDefaults(&spec.Components[i], len(spec.Components) == 1 && d.Components == nil && len(newest.Components) == 0)
	}
	slices.SortFunc(spec.Components, func(a, b agent.Component) int { return cmp.Compare(a.Name, b.Name) })
	return spec, kept, nil
}

// change sets what is given in components, and names those whose image it was
// not given for. The only component needs no name.
func change(components, changes []agent.Component) (changed []agent.Component, kept []string, err error) {
	changed = slices.Clone(components)
	given := map[string]bool{}
	for _, c := range changes {
		if c.Name == "" {
			switch len(components) {
			case 0:
				c.Name = agent.DefaultComponent
			case 1:
				c.Name = components[0].Name
			default:
				return nil, nil, refuse("component", "", "the app has several components", "name the one to change with --component")
			}
		}
		given[c.Name] = given[c.Name] || c.Image != ""
		i := slices.IndexFunc(changed, func(has agent.Component) bool { return has.Name == c.Name })
		if i < 0 {
			changed, i = append(changed, agent.Component{Name: c.Name}), len(changed)
		}
		changed[i] = laid(c, changed[i])
	}
	for _, c := range components {
		if !given[c.Name] {
			kept = append(kept, c.Name)
		}
	}
	return changed, kept, nil
}

// laid lays what is given of a component over what it is.
func laid(given, is agent.Component) agent.Component {
	for _, field := range []struct{ to, from *string }{
		{&given.Image, &is.Image}, {&given.CPU, &is.CPU}, {&given.Memory, &is.Memory}, {&given.Host, &is.Host},
		{&given.Path, &is.Path}, {&given.Health, &is.Health},
	} {
		*field.to = cmp.Or(*field.to, *field.from)
	}
	given.Port = cmp.Or(given.Port, is.Port)
	if given.Command == nil {
		given.Command = is.Command
	}
	if given.Release == nil {
		given.Release = is.Release
	}
	if given.Secrets == nil {
		given.Secrets = is.Secrets
	}
	if given.Volumes == nil {
		given.Volumes = is.Volumes
	}
	if given.Env == nil {
		given.Env = maps.Clone(is.Env)
	}
	return given
}

// withDefaults fills in what nobody said. The only component of an app that
// begins without a file is reached from outside; a file says itself which are,
// and a later change does not open what it kept inside.
func withDefaults(c *agent.Component, only bool) {
	c.CPU = cmp.Or(c.CPU, defaultCPU)
	c.Memory = cmp.Or(c.Memory, defaultMemory)
	if c.Path == "" && only {
		c.Path = "/"
	}
	if c.Health == probeTCP {
		c.Health = ""
	}
}

// keepEnv is the environment asked for: that of before as a whole when none is
// asked for, a single value of it where agent.HiddenValue stands.
func keepEnv(asked, before map[string]string) (map[string]string, error) {
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

// patched lays a patch over an environment, which stays as it is itself.
func patched(env map[string]string, patch *agent.EnvPatch) map[string]string {
	if patch == nil {
		return env
	}
	after := make(map[string]string, len(env)+len(patch.Set))
	maps.Copy(after, env)
	maps.Copy(after, patch.Set)
	for _, name := range patch.Unset {
		delete(after, name)
	}
	return after
}
