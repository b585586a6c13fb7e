package aiops

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// Parameters of the rules about machines, with their reasons.
const (
	pressureHold  = 2 * time.Minute  // a build may press for a moment
	pressureClear = 10 * time.Minute // kubelets go back and forth around their threshold
	lostHold      = time.Minute      // a restart of the engine
	diskWarning   = 0.85             // kubelets begin to remove images here
	diskCritical  = 0.95             // and pods here
	diskClear     = 10 * time.Minute
)

// nodeRule finds machines that are pressed or gone.
func nodeRule(s *snapshot) []finding {
	var found []finding
	for _, n := range s.nodes {
		subject := agent.Subject{Kind: agent.SubjectNode, Name: n.Name, Node: n.Name}
		for _, c := range n.Status.Conditions {
			switch {
			case c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue:
				found = append(found, finding{
					detector: NodeLost, severity: agent.SeverityCritical, subject: subject, since: c.LastTransitionTime.Time, hold: lostHold,
					title:    fmt.Sprintf("%s is not heard of", subject),
					summary:  fmt.Sprintf("The machine %s has not been heard of since %s.", n.Name, clock(c.LastTransitionTime.Time)),
					evidence: []agent.Fact{{Name: "the cluster says", Value: short(c.Message, 200), Why: c.Reason}, {Name: "runs there", Value: s.on(n.Name), Why: "what is affected"}},
				})
			case slices.Contains([]corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}, c.Type) && c.Status == corev1.ConditionTrue:
				what := map[corev1.NodeConditionType]string{corev1.NodeMemoryPressure: "memory", corev1.NodeDiskPressure: "disk space", corev1.NodePIDPressure: "process numbers"}[c.Type]
				f := finding{
					detector: NodePressure, severity: agent.SeverityCritical, subject: subject, workload: string(c.Type), since: c.LastTransitionTime.Time, hold: pressureHold, clear: pressureClear,
					title:    fmt.Sprintf("%s runs out of %s", subject, what),
					summary:  fmt.Sprintf("The machine %s runs out of %s; the cluster ends pods to free some.", n.Name, what),
					evidence: []agent.Fact{{Name: "the cluster says", Value: short(c.Message, 200), Why: c.Reason}},
				}
				if c.Type == corev1.NodeMemoryPressure {
					f.evidence = append(f.evidence, agent.Fact{Name: "takes most", Value: s.consumers(n.Name)})
				}
				found = append(found, f)
			}
		}
	}
	return found
}

// diskRule finds machines whose disk is nearly full.
func diskRule(s *snapshot) []finding {
	var found []finding
	for _, n := range s.figures.Nodes {
		if n.DiskCapacity == 0 {
			continue
		}
		used := float64(n.DiskUsed) / float64(n.DiskCapacity)
		if used < diskWarning {
			continue
		}
		subject := agent.Subject{Kind: agent.SubjectNode, Name: n.Name, Node: n.Name}
		f := finding{
			detector: DiskFull, severity: agent.SeverityWarning, subject: subject, clear: diskClear,
			title:   fmt.Sprintf("the disk of %s is %.0f %% full", subject, used*100),
			summary: fmt.Sprintf("The disk of the machine %s is %.0f %% full.", n.Name, used*100),
			evidence: []agent.Fact{
				{Name: "free", Value: bytesText(n.DiskCapacity - n.DiskUsed), Why: "of " + bytesText(n.DiskCapacity)},
			},
		}
		if used >= diskCritical {
			f.severity = agent.SeverityCritical
		}
		found = append(found, f)
	}
	return found
}

// on names what runs on a node.
func (s *snapshot) on(node string) string {
	var names []string
	for _, p := range s.pods {
		if key := keyOf(subjectOf(p)); p.Spec.NodeName == node && !slices.Contains(names, key) {
			names = append(names, key)
		}
	}
	if len(names) == 0 {
		return "nothing of the workspace"
	}
	return short(strings.Join(names, ", "), 200)
}

// consumers names the pods of a node that take the most memory.
func (s *snapshot) consumers(node string) string {
	var pods []Sample
	for _, p := range s.figures.Pods {
		if p.Node == node {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b Sample) int { return int(b.Usage.Memory - a.Usage.Memory) })
	var names []string
	for _, p := range pods[:min(len(pods), 5)] {
		names = append(names, keyOf(p.Subject)+" "+bytesText(p.Usage.Memory))
	}
	return strings.Join(names, ", ")
}
