package manifest

import "hks.dev/hks/agent"

// Kind is what a component is for.
type Kind string

// The kinds.
const (
	KindBackend  Kind = "backend"  // answers requests; the default with a port
	KindFrontend Kind = "frontend" // what people see first: gets "/" where nothing else says so
	KindWorker   Kind = "worker"   // nothing listens; the default without a port
)

var kinds = []string{string(KindBackend), string(KindFrontend), string(KindWorker)}

// Template is how a folder of source becomes an image.
type Template string

// The templates.
const (
	TemplateDockerfile Template = "dockerfile" // the source brings its own recipe
	TemplateNode       Template = "nodejs"
	TemplateReact      Template = "nodejs-react" // built with Node.js, served as files with the page as fallback
	TemplateStatic     Template = "static"       // files, served as they are
	TemplateGo         Template = "go"
	TemplatePython     Template = "python"
)

var templates = []string{
	string(TemplateDockerfile), string(TemplateNode), string(TemplateReact),
	string(TemplateStatic), string(TemplateGo), string(TemplatePython),
}

// Component is one component, resolved for one environment. Image is empty
// where Build is set; Path is never left to a default, empty means that
// nothing outside reaches it.
type Component struct {
	agent.Component
	Kind     Kind        `json:"kind"`
	Build    *Build      `json:"build,omitempty"`   // nil: Image runs as it is
	Test     *Test       `json:"test,omitempty"`    // nil: none was named
	Replicas agent.Scale `json:"replicas,omitzero"` // zero: left to the app
}

// Build says how the image of a component is made.
type Build struct {
	Folder     string            `json:"folder"`               // of the source, relative to the project, clean, with slashes; "." is the project
	Dockerfile string            `json:"dockerfile,omitempty"` // relative to Folder; empty: as the template says
	Template   Template          `json:"template,omitempty"`   // empty: to be detected
	Target     string            `json:"target,omitempty"`     // stage of the Dockerfile; empty: the last
	Args       map[string]string `json:"args,omitempty"`       // build arguments; none looks like a secret
}

// Test says how a component is tested; one of the two is set.
type Test struct {
	Command []string `json:"command,omitempty"` // run where the source is built
	Target  string   `json:"target,omitempty"`  // stage of the Dockerfile whose build is the test
}
