package manifest

import (
	"maps"
	"slices"

	"hks.dev/hks/agent"
)

// environments are those a file is checked for, in the order of its checks.
var environments = []agent.Environment{agent.Staging, agent.Production}

// checkNames checks the components' own names, and that environments override
// nothing that is not there.
func (d *document) checkNames(r *reader) {
	if d.Components == nil {
		return
	}
	for _, name := range d.Components.sorted() {
		at := d.Components.byName[name].place
		switch _, reserved := agent.ParseEnvironment(name); {
		case agent.ValidateName("component", name) != nil:
			r.add(at, nameFix, "%q is not the name of a component", shown(name))
		case reserved == nil:
			r.add(at, "choose another name; what differs there belongs under environments", "%s is an environment, so no component has this name", name)
		case given(d.App) && len(d.App.value)+len(name) > agent.MaxNameLength:
			r.add(at, "shorten one of them", "the names of app and component have %d letters together, %d are allowed", len(d.App.value)+len(name), agent.MaxNameLength)
		}
	}
	for _, env := range environments {
		over := d.Environments.of(env)
		for _, name := range over.sorted() {
			if _, ok := d.Components.byName[name]; !ok {
				r.unknown(over.byName[name].place, "component", name, d.Components.sorted())
			}
		}
	}
}

// check tells what is wrong with the components of one environment taken
// together. What is wrong with one key alone was told when it was read; what
// follows from that is not told too.
func (all resolved) check(r *reader) {
	routes := map[[2]string]string{}
	var frontend string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		if !c.ok {
			continue
		}
		c.checkPort(r)
		c.checkSource(r)
		c.checkEnv(r)
		c.checkVolumes(r)
		if c.kind() == KindFrontend && c.port() > 0 && c.Route == nil {
			if frontend != "" {
				r.add(c.place, "give one of them route: /, the other another path", "%s is a frontend without a route too, so none of them can be reached", frontend)
			}
			frontend = name
		}
		host, path := all.route(name)
		if path == "" {
			continue
		}
		key := [2]string{host, samePath(path)}
		if other, taken := routes[key]; taken {
			at := c.place
			if c.Route != nil {
				at = c.Route.place
			}
			r.add(at, "give each component a path or a host of its own", "%s is reached at %s already", other, shown(host+path))
			continue
		}
		routes[key] = name
	}
}

// checkPort tells what contradicts the port, or its absence.
func (c *componentBlock) checkPort(r *reader) {
	switch {
	case c.port() > 0 && c.kind() == KindWorker:
		r.add(c.Port.place, "take the port out, or make it a backend", "nothing listens in a worker, so it has no port")
	case c.port() == 0 && c.kind() != KindWorker:
		r.add(c.place, "give the port that the container listens on: port: 8080", "a %s needs a port", c.kind())
	case c.port() == 0 && c.Route != nil:
		r.add(c.Route.place, "give the port that the container listens on: port: 8080", "a route needs a port")
	case c.port() == 0 && c.Health != nil:
		r.add(c.Health.place, "give the port that the container listens on: port: 8080", "a health path needs a port")
	}
}

// checkSource tells where the image is to come from twice, or not at all, and
// what needs source.
func (c *componentBlock) checkSource(r *reader) {
	switch {
	case c.Build == nil && c.Image == nil:
		r.add(c.place, "give build: FOLDER, or image: NAME:TAG", "it has neither build nor image")
	case c.Build == nil && c.Test != nil:
		r.add(c.Test.place, "take it out, or build the component from source", "tests run where the source is built, and an image is given")
	case c.Build != nil && c.Test != nil && c.Test.Target != nil && c.Build.Template != nil && c.Build.Template.value != string(TemplateDockerfile):
		r.add(c.Test.place, "give a command: test: npm test", "target is for a Dockerfile, the template %s has none", shown(c.Build.Template.value))
	}
}

// checkEnv counts the variables and tells which are both in the clear and
// secret.
func (c *componentBlock) checkEnv(r *reader) {
	if c.Env == nil {
		return
	}
	if len(c.Env.values) > maxEnvNames {
		r.add(c.Env.place, "keep settings in a file of the image", "%d variables are too many, %d are allowed", len(c.Env.values), maxEnvNames)
	}
	if c.Secrets == nil {
		return
	}
	for _, name := range c.Secrets.list {
		if _, both := c.Env.values[name.value]; both {
			r.add(name.place, "take it out of one of them", "%s is under env too", name.value)
		}
	}
}
