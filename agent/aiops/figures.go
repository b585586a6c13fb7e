package aiops

import (
	"time"

	"hks.dev/hks/agent"
)

// Figures are what the nodes said at one time.
type Figures struct {
	Pods    []Sample
	Nodes   []NodeFigures
	Volumes []VolumeFigures // only now and then: see Source
}

// Sample is what one pod of the workspace took at one time.
type Sample struct {
	Namespace, Pod string
	Node           string
	Subject        agent.Subject // what it belongs to
	App            string        // empty: it belongs to no app
	Environment    agent.Environment
	Usage          agent.Usage
	Containers     []ContainerFigures

	// UID tells a pod from a later one of the same name; Spent is the CPU time
	// that it has used in all, as of SpentAt. Zero when not known.
	UID     string
	Spent   time.Duration
	SpentAt time.Time
}

// ContainerFigures are of one container.
type ContainerFigures struct {
	Name       string
	RSS        int64 // bytes of anonymous memory
	WorkingSet int64 // bytes, with the page cache in use
	Limit      int64 // of memory, bytes; 0: none
	CPU        float64
	Restarts   int
}

// NodeFigures are of a whole machine.
type NodeFigures struct {
	Name                   string
	CPU                    float64 // cores
	Memory                 int64   // bytes, working set
	DiskUsed, DiskCapacity int64   // bytes, of the filesystem that holds what the engine keeps; 0: not asked for
}

// VolumeFigures are of a filesystem that a pod has mounted.
type VolumeFigures struct {
	Claim          string // name of the PersistentVolumeClaim
	Pod            string
	Subject        agent.Subject
	Used, Capacity int64 // bytes; the capacity is what can be used, without what the filesystem keeps for itself
}

// SubjectOf tells what an object of the workspace belongs to, by its labels.
func SubjectOf(labels map[string]string) agent.Subject {
	switch {
	case labels[agent.LabelApp] != "":
		return agent.Subject{Kind: agent.SubjectApp, Name: labels[agent.LabelApp], Environment: agent.Environment(labels[agent.LabelEnvironment]), Component: labels[agent.LabelComponent]}
	case labels[agent.LabelRuntime] != "":
		return agent.Subject{Kind: agent.SubjectFunction, Name: labels[agent.LabelFunction]}
	case labels[agent.LabelInstance] != "":
		return agent.Subject{Kind: agent.SubjectService, Name: labels[agent.LabelInstance]}
	}
	return agent.Subject{Kind: agent.SubjectWorkspace}
}

// keyOf is how a subject is named where one word must do: web/production for
// an app, else kind and name.
func keyOf(s agent.Subject) string {
	if s.Kind == agent.SubjectApp {
		return s.Name + "/" + string(s.Environment)
	}
	return s.String()
}
