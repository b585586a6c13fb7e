package manifest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

// The blocks of the file. schema.json says the same for editors; a test holds
// both to the same keys.

// document is the whole file.
type document struct {
	App          *text              `yaml:"app"`
	Components   *components        `yaml:"components"`
	Environments *environmentsBlock `yaml:"environments"`
}

// components maps names to components.
type components struct {
	place
	byName map[string]*componentBlock
}

// environmentsBlock holds what differs in an environment.
type environmentsBlock struct {
	place
	Staging    *environmentBlock `yaml:"staging"`
	Production *environmentBlock `yaml:"production"`
}

// environmentBlock overrides keys of components.
type environmentBlock struct {
	place
	Components *components `yaml:"components"`
}

// componentBlock is one component, or what an environment overrides of it.
type componentBlock struct {
	place
	ok        bool            // nothing is wrong with any key alone
	Kind      *text           `yaml:"kind"`
	Build     *buildBlock     `yaml:"build"`
	Image     *text           `yaml:"image"`
	Port      *number         `yaml:"port"`
	Route     *routeBlock     `yaml:"route"`
	Env       *pairs          `yaml:"env"`
	Secrets   *names          `yaml:"secrets"`
	Health    *text           `yaml:"health"`
	Resources *resourcesBlock `yaml:"resources"`
	Replicas  *number         `yaml:"replicas"`
	Command   *argv           `yaml:"command"`
	Test      *testBlock      `yaml:"test"`
	Release   *argv           `yaml:"release"`
}

// buildBlock says how the image is made; short form: the folder.
type buildBlock struct {
	place
	Folder     *text  `yaml:"folder"`
	Dockerfile *text  `yaml:"dockerfile"`
	Template   *text  `yaml:"template"`
	Target     *text  `yaml:"target"`
	Args       *pairs `yaml:"args"`
}

// routeBlock says where the component is reached; short form: the path.
type routeBlock struct {
	place
	Host *text `yaml:"host"`
	Path *text `yaml:"path"`
}

// resourcesBlock limits an instance.
type resourcesBlock struct {
	place
	CPU    *plain `yaml:"cpu"` // may look like a number
	Memory *plain `yaml:"memory"`
}

// testBlock is the target of the Dockerfile that runs the tests; short form: a
// command that is run in the image where the source is built.
type testBlock struct {
	place
	Target  *text `yaml:"target"`
	command *argv
}

// Bounds of the file.
const (
	maxComponents     = 20
	maxReplicas       = 100
	maxPathBytes      = 512
	maxReferenceBytes = 512
)

var nameFix = fmt.Sprintf("use up to %d lower-case letters, digits and dashes, beginning with a letter", agent.MaxNameLength)

var (
	targetGrammar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,127}$`)
	secretLooking = regexp.MustCompile(`(?i)(passw|secret|token|credential|private_?key|api_?key|access_?key)`)
)

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

func (c *componentBlock) read(r *reader, at place, n *yaml.Node) {
	c.place = at
	before := len(r.list)
	defer func() { c.ok = len(r.list) == before }()
	r.fields(at, n, c)
	if given(c.Kind) {
		r.oneOf(c.Kind, kinds)
	}
	if given(c.Image) {
		if _, err := reference.ParseNormalizedNamed(c.Image.value); err != nil || len(c.Image.value) > maxReferenceBytes {
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
	if c.Replicas != nil && c.Replicas.ok && (c.Replicas.value < 1 || c.Replicas.value > maxReplicas) {
		r.add(c.Replicas.place, "hks app stop takes all instances away", "%d instances can't be asked for, 1 to %d can", c.Replicas.value, maxReplicas)
	}
	if c.Build != nil && c.Image != nil {
		r.add(later(c.Build.place, c.Image.place), "take one of them out", "build and image exclude each other")
	}
}

func (b *buildBlock) read(r *reader, at place, n *yaml.Node) {
	b.place = at
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		b.Folder = &text{at, n.Value, true}
	} else {
		r.fields(at, n, b)
	}
	if given(b.Folder) {
		r.inside(b.Folder, "a folder")
	}
	if given(b.Dockerfile) {
		r.inside(b.Dockerfile, "a file")
		if b.Dockerfile.value == "." {
			r.add(b.Dockerfile.place, "name the file, such as Dockerfile", "this is a folder")
		}
	}
	if given(b.Template) {
		r.oneOf(b.Template, templates)
		if b.Template.value != string(TemplateDockerfile) {
			for key, other := range map[string]*text{"dockerfile": b.Dockerfile, "target": b.Target} {
				if given(other) {
					r.add(other.place, "take one of them out", "%s is for a Dockerfile, the template %s has none", key, shown(b.Template.value))
				}
			}
		}
	}
	if given(b.Target) {
		r.target(b.Target)
	}
	if b.Args == nil {
		return
	}
	if len(b.Args.values) > maxBuildArgs {
		r.add(b.Args.place, "", "%d arguments are too many, %d are allowed", len(b.Args.values), maxBuildArgs)
	}
	for name, v := range b.Args.values {
		switch {
		case strings.HasPrefix(name, "BUILDKIT_"):
			r.add(v.place, "choose another name", "arguments that begin with BUILDKIT_ steer the builder itself")
		case secretLooking.MatchString(name):
			r.add(v.place, "keep secrets out of builds; name them under secrets, for when the component runs", "arguments of a build stay in the image's history, and this one looks like a secret")
		}
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
	if given(v.Host) {
		if agent.ValidateHost(v.Host.value) != nil {
			r.add(v.Host.place, "give a host such as www.example.com, in lower case and without a port", "%q is not a host name", shown(v.Host.value))
		}
	}
}

func (v *resourcesBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	r.fields(at, n, v)
	r.quantity(v.CPU, cpu)
	r.quantity(v.Memory, memory)
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
	if !targetGrammar.MatchString(t.value) {
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
