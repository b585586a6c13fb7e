package aiops

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// killHold is how long a container must go on after a kill: one that ends by
// it is told by its own end.
const killHold = 30 * time.Second

// Kills counts processes that the kernel ended for their memory, by the uid of
// their pod, in the containers that run now.
type Kills interface {
	Of(uids []string) (map[string]int64, error)
}

// kills are those of a pod.
type kills struct {
	count int64
	since int64     // of those, the ones that were there before anyone looked
	at    time.Time // when the last one was seen
}

// lookAtKills notes what the kernel did since the last look. Kills of before
// the assistant began are no news.
func (m *Manager) lookAtKills(ctx context.Context, s *snapshot) {
	if m.cfg.Kills == nil {
		return
	}
	uids := make([]string, len(s.pods))
	for i, p := range s.pods {
		uids[i] = string(p.UID)
	}
	counts, err := m.cfg.Kills.Of(uids)
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "what the kernel ended can't be read", "error", err)
		return
	}
	s.kills = map[string]kills{}
	for _, p := range s.pods {
		uid := string(p.UID)
		count, ok := counts[uid]
		if !ok {
			continue
		}
		before, seen := m.kills[uid]
		now := kills{count: count, since: before.since, at: before.at}
		switch {
		case !seen && p.CreationTimestamp.Time.Before(m.began), count < before.count: // another container
			now.since = count
		case count > before.count:
			now.at = s.now
		}
		s.kills[uid] = now
	}
	m.kills = s.kills
}

// killRule finds pods with a process that the kernel ended, and whose
// containers went on.
func killRule(s *snapshot) []finding {
	var found []finding
	for _, p := range s.pods {
		k, ok := s.kills[string(p.UID)]
		if !ok || k.at.IsZero() || s.now.Sub(k.at) > s.scale(oomClean) || len(p.Spec.Containers) == 0 || s.endedForMemory(p, k.at) {
			continue
		}
		container := p.Spec.Containers[0].Name
		subject, limit := about(p, container), limitOf(p, container)
		if subject.Kind == agent.SubjectFunction && subject.Name == "" || s.deploying(subject) || s.abandoned(p) {
			continue
		}
		found = append(found, finding{
			detector: OOMKilled, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: k.at, hold: killHold,
			title:   fmt.Sprintf("a process of %s was ended by the kernel: out of memory", subject),
			summary: fmt.Sprintf("An instance of %s used up its %s of memory; the kernel ended one of its processes and the others went on.", subject, bytesText(limit)),
			evidence: []agent.Fact{
				{Name: "limit", Value: bytesText(limit), Why: "the kernel ends what goes beyond it"},
				{Name: "ended", Value: strconv.FormatInt(k.count-k.since, 10), Why: "processes; Kubernetes does not tell of them, requests that they worked on failed"},
			},
			ruledOut: []string{"a restart: the instance's first process is the same"},
			logs:     p.Name, memory: limit, look: 24 * time.Hour,
		})
	}
	return found
}

// endedForMemory tells whether a container of the pod ended by the kernel about
// then: that says all.
func (s *snapshot) endedForMemory(p *corev1.Pod, at time.Time) bool {
	for _, c := range p.Status.ContainerStatuses {
		if end := lastEnd(c); end != nil && end.Reason == "OOMKilled" && end.FinishedAt.Time.Sub(at).Abs() < s.scale(oomClean) {
			return true
		}
	}
	return false
}
