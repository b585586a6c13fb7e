package agent

import "slices"

// DefaultComponent is the name of the only component of an app that was
// deployed without a file that names it.
const DefaultComponent = "app"

// Component is one part of an app: an image and how it runs. All components of
// an app are released together.
type Component struct {
	Name    string            `json:"name"`
	Image   string            `json:"image"`             // reference as the user wrote it, or of what was built
	Port    int               `json:"port,omitempty"`    // the container listens on it; 0: it is a worker, nothing listens
	Path    string            `json:"path,omitempty"`    // prefix of its route, "/" for all; empty: not reached from outside
	Host    string            `json:"host,omitempty"`    // of its route; default: HostLabel + domain
	Env     map[string]string `json:"env,omitzero"`      // of this component alone, in the clear; Spec.Env is stronger
	Secrets []string          `json:"secrets,omitempty"` // names that Spec.Env must hold before it can be released
	Command []string          `json:"command,omitempty"` // overrides the image's entry point
	Release []string          `json:"release,omitempty"` // command run once, with this image, before the new release serves
	CPU     string            `json:"cpu,omitempty"`     // Kubernetes quantity, the limit of an instance
	Memory  string            `json:"memory,omitempty"`  // Kubernetes quantity, the limit of an instance
	Health  string            `json:"health,omitempty"`  // HTTP path of the readiness probe; default: a TCP connect to Port
	Volumes []ComponentVolume `json:"volumes,omitempty"` // kept from release to release; a component with any has one instance at most
}

// Main returns the component that stands for the app where there is place for
// one only: the one at the root of its routes, else the first that is reached
// from outside, else the first.
func (s Spec) Main() Component {
	for _, fits := range []func(Component) bool{
		func(c Component) bool { return c.Path == "/" },
		func(c Component) bool { return c.Path != "" },
		func(Component) bool { return true },
	} {
		if i := slices.IndexFunc(s.Components, fits); i >= 0 {
			return s.Components[i]
		}
	}
	return Component{}
}

// Component returns the one of that name; ok is false when there is none.
func (s Spec) Component(name string) (c Component, ok bool) {
	i := slices.IndexFunc(s.Components, func(c Component) bool { return c.Name == name })
	if i < 0 {
		return Component{}, false
	}
	return s.Components[i], true
}
