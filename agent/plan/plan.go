// Package plan knows the plans and their limits. The limits are data, in
// plans.yaml, embedded and checked when they are read.
package plan

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"hks.dev/hks/agent"
)

// Default is the plan of a new workspace.
const Default = "hobby"

//go:embed plans.yaml
var file []byte

// Plans is the set of plans.
type Plans struct{ byName map[string]agent.Plan }

// New reads the embedded plans.
func New() (*Plans, error) { return parse(file) }

// Lookup returns the named plan.
func (p *Plans) Lookup(name string) (agent.Plan, error) {
	found, ok := p.byName[name]
	if !ok {
		return agent.Plan{}, agent.Errorf(agent.CodeInvalid, "choose one of "+strings.Join(p.Names(), ", "), "there is no plan %q", name)
	}
	return found, nil
}

// Names lists the plans in alphabetical order.
func (p *Plans) Names() []string {
	names := make([]string, 0, len(p.byName))
	for name := range p.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// entry is a plan as the file has it. Pointers tell a key left out from 0.
type entry struct {
	Workspaces     *limit  `yaml:"workspaces"`
	Functions      *limit  `yaml:"functions"`
	CronJobs       *limit  `yaml:"cronJobs"`
	Storage        *string `yaml:"storage"` // Kubernetes quantity
	DedicatedNodes *limit  `yaml:"dedicatedNodes"`
	BackupDays     *limit  `yaml:"backupDays"`
	Pods           *limit  `yaml:"pods"`
	CPUPercent     *limit  `yaml:"cpuPercent"`
	MemoryPercent  *limit  `yaml:"memoryPercent"`
}

// limit is a count, or the word unlimited.
type limit int

// UnmarshalYAML reads a count of 0 or more, or the word unlimited.
func (l *limit) UnmarshalYAML(node *yaml.Node) error {
	if node.Value == "unlimited" {
		*l = agent.Unlimited
		return nil
	}
	var n int
	if err := node.Decode(&n); err != nil {
		return fmt.Errorf("line %d: %q is neither a count nor unlimited", node.Line, node.Value)
	}
	if n < 0 {
		return fmt.Errorf("line %d: %d is below 0", node.Line, n)
	}
	*l = limit(n)
	return nil
}

func parse(text []byte) (*Plans, error) {
	var entries map[string]entry
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&entries); err != nil {
		return nil, fmt.Errorf("reading the plans: %w", err)
	}
	plans := &Plans{byName: make(map[string]agent.Plan, len(entries))}
	for name, e := range entries {
		p, err := e.plan(name)
		if err != nil {
			return nil, fmt.Errorf("reading the plan %s: %w", name, err)
		}
		plans.byName[name] = p
	}
	if _, ok := plans.byName[Default]; !ok {
		return nil, fmt.Errorf("reading the plans: there is no plan %s", Default)
	}
	return plans, nil
}

func (e entry) plan(name string) (agent.Plan, error) {
	p := agent.Plan{Name: name}
	for key, field := range map[string]struct {
		from *limit
		to   *int
	}{
		"workspaces": {e.Workspaces, &p.Workspaces}, "functions": {e.Functions, &p.Functions}, "cronJobs": {e.CronJobs, &p.CronJobs},
		"dedicatedNodes": {e.DedicatedNodes, &p.DedicatedNodes}, "backupDays": {e.BackupDays, &p.BackupDays}, "pods": {e.Pods, &p.Pods},
		"cpuPercent": {e.CPUPercent, &p.CPUPercent}, "memoryPercent": {e.MemoryPercent, &p.MemoryPercent},
	} {
		if field.from == nil {
			return agent.Plan{}, fmt.Errorf("%s is missing", key)
		}
		*field.to = int(*field.from)
	}
	for key, percent := range map[string]int{"cpuPercent": p.CPUPercent, "memoryPercent": p.MemoryPercent} {
		if percent < 1 || percent > 100 {
			return agent.Plan{}, fmt.Errorf("%s: %d is not between 1 and 100", key, percent)
		}
	}
	if p.Workspaces < 1 || p.Pods < 1 {
		return agent.Plan{}, fmt.Errorf("workspaces and pods must be counts above 0")
	}
	if e.Storage == nil {
		return agent.Plan{}, fmt.Errorf("storage is missing")
	}
	storage, err := resource.ParseQuantity(*e.Storage)
	if err != nil || storage.Value() < 0 {
		return agent.Plan{}, fmt.Errorf("storage: %q is not a quantity such as 10Gi", *e.Storage)
	}
	p.StorageBytes = storage.Value()
	return p, nil
}
