package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	targetGrammar = lazily(`^[A-Za-z][A-Za-z0-9_.-]{0,127}$`)
	secretLooking = lazily(`(?i)(passw|secret|token|credential|private_?key|api_?key|access_?key)`)
)

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
		case secretLooking().MatchString(name):
			r.add(v.place, "keep secrets out of builds; name them under secrets, for when the component runs", "arguments of a build stay in the image's history, and this one looks like a secret")
		}
	}
}
