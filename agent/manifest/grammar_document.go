package manifest

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

var nameFix = fmt.Sprintf("use up to %d lower-case letters, digits and dashes, beginning with a letter", agent.MaxNameLength)

func (d *document) read(r *reader, at place, n *yaml.Node) {
	r.fields(at, n, d)
	if n.Kind != yaml.MappingNode {
		return
	}
	if d.App == nil {
		r.add(at, "name the app: app: NAME", "the key app is missing")
	} else if given(d.App) && agent.ValidateName("application", d.App.value) != nil {
		r.add(d.App.place, nameFix, "%q is not the name of an application", shown(d.App.value))
	}
	if d.Components == nil {
		r.add(at, "write the file anew with hks init, or see hks schema", "the key components is missing")
	}
}

func (c *components) read(r *reader, at place, n *yaml.Node) {
	c.place, c.byName = at, map[string]*componentBlock{}
	count := 0
	r.entries(at, n, func(name string, keyAt place, n *yaml.Node) {
		if count++; count > maxComponents {
			return // what is compared with each other stays few
		}
		block := &componentBlock{}
		block.read(r, keyAt, n)
		c.byName[name] = block
	})
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) == 0:
		r.add(at, "name at least one component", "it is empty, at least one component belongs here")
	case count > maxComponents:
		r.add(at, "split the app in two", "%d components are too many, %d are allowed", count, maxComponents)
	}
}

// sorted returns the names in alphabetical order; none for nil.
func (c *components) sorted() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.byName))
}

func (e *environmentsBlock) read(r *reader, at place, n *yaml.Node) {
	e.place = at
	r.fields(at, n, e)
}

// of returns the overrides for an environment, nil when there are none.
func (e *environmentsBlock) of(env agent.Environment) *components {
	block := (*environmentBlock)(nil)
	if e != nil && env == agent.Staging {
		block = e.Staging
	} else if e != nil && env == agent.Production {
		block = e.Production
	}
	if block == nil {
		return nil
	}
	return block.Components
}

func (e *environmentBlock) read(r *reader, at place, n *yaml.Node) {
	e.place = at
	r.fields(at, n, e)
}
