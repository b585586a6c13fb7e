package manifest

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

func (c *componentBlock) read(r *reader, at place, n *yaml.Node) {
	c.place = at
	before := len(r.list)
	defer func() { c.ok = len(r.list) == before }()
	r.fields(at, n, c)
	if given(c.Kind) {
		r.oneOf(c.Kind, kinds)
	}
	if given(c.Image) {
		if !isReference(c.Image.value) {
			r.add(c.Image.place, "give NAME:TAG, REGISTRY/NAME:TAG or NAME@sha256:DIGEST", "%q is not the name of an image", shown(c.Image.value))
		}
	}
	if c.Port != nil && c.Port.value > 65535 {
		r.add(c.Port.place, "give the port that the container listens on, from 1 to 65535; 0 for none", "%d is not a TCP port", c.Port.value)
	}
	if c.Secrets != nil && len(c.Secrets.list) > maxSecrets {
		r.add(c.Secrets.place, "", "%d secrets are too many, %d are allowed", len(c.Secrets.list), maxSecrets)
	}
	if given(c.Health) {
		r.path(c.Health)
	}
	if c.Build != nil && c.Image != nil {
		r.add(later(c.Build.place, c.Image.place), "take one of them out", "build and image exclude each other")
	}
}

func (v *routeBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		v.Path = &text{at, n.Value, true}
	} else {
		r.fields(at, n, v)
		if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
			r.add(at, "give path, host or both", "it is empty")
		}
	}
	if given(v.Path) {
		r.path(v.Path)
	}
	if given(v.Host) && agent.ValidateHost(v.Host.value) != nil {
		r.add(v.Host.place, "give a host such as www.example.com, in lower case and without a port", "%q is not a host name", shown(v.Host.value))
	}
}

func (v *resourcesBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	r.fields(at, n, v)
	r.quantity(v.CPU, cpu)
	r.quantity(v.Memory, memory)
}

func (v *replicasBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind != yaml.MappingNode {
		v.fixed = &number{}
		v.fixed.read(r, at, n)
		r.instances(v.fixed)
		return
	}
	r.fields(at, n, v)
	r.instances(v.Min)
	r.instances(v.Max)
	if v.Max == nil {
		r.add(at, "give at least the most: {max: 4}; min is 1 and cpu 70 without more words", "the key max is missing")
	}
	if v.Max != nil && v.Max.ok && (v.Min == nil || v.Min.ok) {
		if scale := v.scale(); scale.Max <= scale.Min && scale.Max > 0 {
			r.add(v.Max.place, "give a max above min, or a fixed number", "from %d to %d instances there is nothing to scale", scale.Min, scale.Max)
		}
	}
	if v.CPU != nil && v.CPU.ok && (v.CPU.value < agent.MinScaleCPU || v.CPU.value > agent.MostScaleCPU) {
		r.add(v.CPU.place, "give the percentage of its CPU limit that an instance is to take, such as 70", "%d %% is not between %d and %d", v.CPU.value, agent.MinScaleCPU, agent.MostScaleCPU)
	}
}

// instances checks a number of them.
func (r *reader) instances(n *number) {
	if n != nil && n.ok && (n.value < 1 || n.value > maxReplicas) {
		r.add(n.place, "hks app stop takes all instances away", "%d instances can't be asked for, 1 to %d can", n.value, maxReplicas)
	}
}

// scale is the resolved form; zero where nothing was said.
func (v *replicasBlock) scale() agent.Scale {
	switch {
	case v == nil:
		return agent.Scale{}
	case v.fixed != nil:
		return agent.Fixed(v.fixed.value)
	}
	s := agent.Scale{Min: 1, CPU: agent.ScaleCPU}
	for _, key := range []struct {
		from *number
		to   *int
	}{{v.Min, &s.Min}, {v.Max, &s.Max}, {v.CPU, &s.CPU}} {
		if key.from != nil {
			*key.to = key.from.value
		}
	}
	return s
}

func (v *testBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind != yaml.MappingNode {
		v.command = &argv{}
		v.command.read(r, at, n)
		return
	}
	r.fields(at, n, v)
	if v.Target == nil {
		r.add(at, "name the target: {target: test}; or give a command: test: npm test", "the key target is missing")
	} else if given(v.Target) {
		r.target(v.Target)
	}
}

// given tells whether a text is there and was read.
func given(t *text) bool { return t != nil && t.ok }

func (r *reader) oneOf(t *text, known []string) {
	if !slices.Contains(known, t.value) {
		r.unknown(t.place, fmt.Sprintf("word %q", shown(t.value)), t.value, known)
	}
}

func (r *reader) path(t *text) {
	if agent.ValidatePath("path", t.value) != nil {
		r.add(t.place, "begin it with / and leave out ? and #", "%q is not an absolute URL path", shown(t.value))
	}
}

func (r *reader) target(t *text) {
	if !targetGrammar().MatchString(t.value) {
		r.add(t.place, "give the name that stands after AS in the Dockerfile", "%q is not the name of a build stage", shown(t.value))
	}
}

// later is the one of two places that is further down in the file.
func later(a, b place) place {
	if b.line > a.line || b.line == a.line && b.column > a.column {
		return b
	}
	return a
}
