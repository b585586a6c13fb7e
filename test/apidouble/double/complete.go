package double

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// complete makes the configuration of the next release, as the appliance does:
// what is left out is as in the one before.
func complete(d agent.Deploy, before agent.Spec) (agent.Spec, error) {
	spec := agent.Spec{Env: before.Env, Components: slices.Clone(d.Components)}
	if d.Env != nil {
		spec.Env = map[string]string{}
		for name, value := range d.Env {
			if err := agent.ValidateEnvName(name); err != nil {
				return spec, err
			}
			if value == agent.HiddenValue {
				value = before.Env[name]
			}
			spec.Env[name] = value
		}
	}
	if d.Patch != nil {
		env := maps.Clone(spec.Env)
		if env == nil {
			env = map[string]string{}
		}
		maps.Copy(env, d.Patch.Set)
		for _, name := range d.Patch.Unset {
			delete(env, name)
		}
		spec.Env = env
	}
	if d.Components == nil {
		spec.Components = slices.Clone(before.Components)
		for _, c := range d.Change {
			if err := change(&spec, c); err != nil {
				return spec, err
			}
		}
	}
	if len(spec.Components) == 0 {
		return spec, &agent.Error{Code: agent.CodeInvalid, Message: "the app has no component yet", Fix: "give it an image"}
	}
	slices.SortFunc(spec.Components, func(a, b agent.Component) int { return cmp.Compare(a.Name, b.Name) })
	return spec, check(spec)
}

// change sets what is given in a component of spec, which may be a new one.
func change(spec *agent.Spec, given agent.Component) error {
	only := len(spec.Components) <= 1
	if given.Name == "" {
		if !only {
			return &agent.Error{
				Code: agent.CodeInvalid, Message: "the app has several components", Fix: "name the one to change with --component",
				Details: map[string]any{"field": "component"},
			}
		}
		given.Name = cmp.Or(spec.Main().Name, agent.DefaultComponent)
	}
	i := slices.IndexFunc(spec.Components, func(c agent.Component) bool { return c.Name == given.Name })
	if i < 0 {
		i = len(spec.Components)
		spec.Components = append(spec.Components, agent.Component{Name: given.Name})
		if only && i == 0 {
			spec.Components[i].Path = "/"
		}
	}
	is := &spec.Components[i]
	is.Port = cmp.Or(given.Port, is.Port)
	for _, field := range []struct{ to, from *string }{
		{&is.Image, &given.Image}, {&is.Path, &given.Path}, {&is.Host, &given.Host},
		{&is.CPU, &given.CPU}, {&is.Memory, &given.Memory}, {&is.Health, &given.Health},
	} {
		*field.to = cmp.Or(*field.from, *field.to)
	}
	if given.Command != nil {
		is.Command = given.Command
	}
	return nil
}

func check(spec agent.Spec) error {
	for _, c := range spec.Components {
		if c.Path != "" {
			if err := agent.ValidatePort(c.Port); err != nil {
				return err
			}
		}
		if c.Image == "" || strings.ContainsAny(c.Image, " \t") {
			return &agent.Error{
				Code: agent.CodeInvalidImage, Message: fmt.Sprintf("%q is not the name of an image", c.Image), Fix: "write it as web:1 or registry.example.com/web:1",
			}
		}
	}
	return nil
}

// compare lists what differs, by the names that the fields have in JSON.
func compare(from, to agent.Spec) []agent.Change {
	var changes []agent.Change
	for _, is := range to.Components {
		was, had := from.Component(is.Name)
		if !had {
			changes = append(changes, agent.Change{Component: is.Name, Field: "component", To: "new"})
		}
		before, after := fields(was), fields(is)
		for _, name := range union(before, after) {
			if name != "name" && before[name] != after[name] {
				changes = append(changes, agent.Change{Component: is.Name, Field: name, From: before[name], To: after[name]})
			}
		}
	}
	for _, was := range from.Components {
		if _, has := to.Component(was.Name); !has {
			changes = append(changes, agent.Change{Component: was.Name, Field: "component", From: "removed"})
		}
	}
	for _, name := range union(from.Env, to.Env) {
		if from.Env[name] != to.Env[name] {
			changes = append(changes, agent.Change{Field: "env " + name, From: hidden(from.Env, name), To: hidden(to.Env, name)})
		}
	}
	return changes
}

func hidden(env map[string]string, name string) string {
	if _, ok := env[name]; ok {
		return agent.HiddenValue
	}
	return ""
}

func union(a, b map[string]string) []string {
	names := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(names)
	return slices.Compact(names)
}

// fields writes a component down as JSON has it, a text for each field.
func fields(c agent.Component) map[string]string {
	text, err := json.Marshal(c)
	if err != nil {
		return nil // a component always marshals
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil // what was just marshalled unmarshals
	}
	values := map[string]string{}
	for name, value := range raw {
		values[name] = strings.Trim(string(value), `"`)
	}
	return values
}
