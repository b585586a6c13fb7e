package agent

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
}
