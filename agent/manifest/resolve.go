package manifest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// merged lays an environment's keys over a component's own: variables by name,
// everything else whole. An image takes the place of a build, and the reverse.
func (c *componentBlock) merged(over *componentBlock) *componentBlock {
	if over == nil {
		return c
	}
	m := &componentBlock{
		place:     c.place,
		ok:        c.ok && over.ok,
		Kind:      cmp.Or(over.Kind, c.Kind),
		Build:     cmp.Or(over.Build, c.Build),
		Image:     cmp.Or(over.Image, c.Image),
		Port:      cmp.Or(over.Port, c.Port),
		Route:     cmp.Or(over.Route, c.Route),
		Env:       c.Env.merged(over.Env),
		Secrets:   cmp.Or(over.Secrets, c.Secrets),
		Health:    cmp.Or(over.Health, c.Health),
		Resources: cmp.Or(over.Resources, c.Resources),
		Replicas:  cmp.Or(over.Replicas, c.Replicas),
		Command:   cmp.Or(over.Command, c.Command),
		Test:      cmp.Or(over.Test, c.Test),
		Release:   cmp.Or(over.Release, c.Release),
		Volumes:   cmp.Or(over.Volumes, c.Volumes),
	}
	switch {
	case over.Image != nil && over.Build == nil:
		m.Build = nil
	case over.Build != nil && over.Image == nil:
		m.Image = nil
	}
	return m
}

func (p *pairs) merged(over *pairs) *pairs {
	if p == nil || over == nil {
		return cmp.Or(over, p)
	}
	values := maps.Clone(p.values)
	maps.Copy(values, over.values)
	return &pairs{place: over.place, values: values}
}

// resolved are the components of one environment, by name.
type resolved map[string]*componentBlock

// resolve merges the overrides of an environment.
func (d *document) resolve(env agent.Environment) resolved {
	over := d.Environments.of(env)
	all := resolved{}
	for _, name := range d.Components.sorted() {
		block := d.Components.byName[name]
		if over != nil {
			block = block.merged(over.byName[name])
		}
		all[name] = block
	}
	return all
}

func (c *componentBlock) port() int {
	if c.Port == nil {
		return 0
	}
	return c.Port.value
}

func (c *componentBlock) kind() Kind {
	switch {
	case c.Kind != nil:
		return Kind(c.Kind.value)
	case c.port() > 0:
		return KindBackend
	}
	return KindWorker
}

// main is the component that gets "/" without asking for it: the only one with
// a port, else the only frontend, as long as it names no route; "" for none.
func (all resolved) main() string {
	var listening, frontends []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if c := all[name]; c.port() > 0 {
			listening = append(listening, name)
			if c.kind() == KindFrontend {
				frontends = append(frontends, name)
			}
		}
	}
	for _, candidates := range [][]string{listening, frontends} {
		if len(candidates) == 1 && all[candidates[0]].Route == nil {
			return candidates[0]
		}
	}
	return ""
}

// route is where a component is reached; both empty: nowhere.
func (all resolved) route(name string) (host, path string) {
	route := all[name].Route
	switch {
	case route == nil && name == all.main():
		return "", "/"
	case route == nil:
		return "", ""
	}
	path = "/"
	if route.Path != nil {
		path = route.Path.value
	}
	if route.Host != nil {
		host = route.Host.value
	}
	return host, path
}

// component is the resolved form of one that has passed every check.
func (all resolved) component(name string) Component {
	block := all[name]
	c := Component{
		Component: agent.Component{
			Name: name, Port: block.port(), Image: valueOf(block.Image), Health: valueOf(block.Health),
			Env: block.Env.strings(), Secrets: block.Secrets.strings(),
			Command: block.Command.strings(), Release: block.Release.strings(),
			Volumes: block.Volumes.volumes(),
		},
		Kind: block.kind(),
	}
	c.Host, c.Path = all.route(name)
	c.Replicas = block.Replicas.scale()
	if block.Resources != nil {
		c.CPU, c.Memory = block.Resources.CPU.text(), block.Resources.Memory.text()
	}
	if b := block.Build; b != nil {
		c.Build = &Build{
			Folder: cmp.Or(valueOf(b.Folder), "."), Dockerfile: valueOf(b.Dockerfile), Template: Template(valueOf(b.Template)),
			Target: valueOf(b.Target), Args: b.Args.strings(),
		}
		if c.Build.Dockerfile != "" || c.Build.Target != "" {
			c.Build.Template = TemplateDockerfile
		}
	}
	if t := block.Test; t != nil {
		c.Test = &Test{Command: t.command.strings(), Target: valueOf(t.Target)}
	}
	return c
}

func valueOf(t *text) string {
	if t == nil {
		return ""
	}
	return t.value
}

func (p *plain) text() string {
	if p == nil {
		return ""
	}
	return p.value
}

// samePath makes one of a prefix with and without its last slash.
func samePath(path string) string { return "/" + strings.Trim(path, "/") }
