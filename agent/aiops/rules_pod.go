package aiops

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// Parameters of the rules about pods, with their reasons.
const (
	crashRestarts = 3                // fewer are a start that waits for something
	crashWithin   = 10 * time.Minute // it runs as long, and it has come to rest
	oomClean      = time.Hour        // a leak fills up again; without a kill for so long it does not
	imageHold     = 2 * time.Minute  // a registry may be away for a moment
	pendingHold   = 3 * time.Minute  // room comes when another pod ends
	probeFailures = 3                // in probeWithin
	probeWithin   = 5 * time.Minute
	probeGrace    = time.Minute // of a start
	probeReady    = 5 * time.Minute
)

func releaseLabel(r agent.Release) string { return strconv.Itoa(r.Number) }

// eachContainer calls fn for the containers of pods that rules judge.
func (s *snapshot) eachContainer(fn func(p *corev1.Pod, c corev1.ContainerStatus)) {
	for _, p := range s.pods {
		subject := subjectOf(p)
		if subject.Kind == agent.SubjectFunction && subject.Name == "" || s.deploying(subject) || s.abandoned(p) {
			continue
		}
		for _, c := range p.Status.ContainerStatuses {
			fn(p, c)
		}
	}
}

func limitOf(p *corev1.Pod, container string) int64 {
	for _, c := range p.Spec.Containers {
		if c.Name == container {
			return c.Resources.Limits.Memory().Value()
		}
	}
	return 0
}

// lastEnd is how the container ended last.
func lastEnd(c corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

// oomRule finds containers that the kernel ended for their memory.
func oomRule(s *snapshot) []finding {
	var found []finding
	s.eachContainer(func(p *corev1.Pod, c corev1.ContainerStatus) {
		end := lastEnd(c)
		if end == nil || end.Reason != "OOMKilled" || s.now.Sub(end.FinishedAt.Time) > s.scale(oomClean) {
			return
		}
		subject, limit := about(p, c.Name), limitOf(p, c.Name)
		f := finding{
			detector: OOMKilled, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: end.FinishedAt.Time,
			title:   fmt.Sprintf("%s was ended by the kernel: out of memory", subject),
			summary: fmt.Sprintf("An instance of %s used more than its %s of memory and was ended by the kernel.", subject, bytesText(limit)),
			evidence: []agent.Fact{
				{Name: "limit", Value: bytesText(limit), Why: "the kernel ends what goes beyond it"},
				{Name: "lived", Value: duration(end.FinishedAt.Sub(end.StartedAt.Time)), Why: "short: the limit is too low for its start; long: it grew"},
				{Name: "restarts", Value: strconv.Itoa(int(c.RestartCount)), Why: "of this instance so far"},
			},
			logs: p.Name, previous: c.State.Running != nil || c.State.Waiting != nil, memory: limit, look: 24 * time.Hour,
		}
		found = append(found, f)
	})
	return found
}

// crashRule finds containers that end again and again.
func crashRule(s *snapshot) []finding {
	var found []finding
	s.eachContainer(func(p *corev1.Pod, c corev1.ContainerStatus) {
		end := lastEnd(c)
		if end == nil || end.Reason == "OOMKilled" || c.RestartCount < crashRestarts || c.State.Running != nil && s.now.Sub(c.State.Running.StartedAt.Time) > s.scale(crashWithin) {
			return
		}
		subject := about(p, c.Name)
		f := finding{
			detector: CrashLoop, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: end.StartedAt.Time,
			title:   fmt.Sprintf("%s ends again and again", subject),
			summary: fmt.Sprintf("An instance of %s has ended %d times, the last time with exit code %d.", subject, c.RestartCount, end.ExitCode),
			evidence: []agent.Fact{
				{Name: "exit code", Value: strconv.Itoa(int(end.ExitCode)), Why: exitWords(end.ExitCode)},
				{Name: "restarts", Value: strconv.Itoa(int(c.RestartCount)), Why: "each waits longer than the one before"},
				{Name: "lived", Value: duration(end.FinishedAt.Sub(end.StartedAt.Time)), Why: "from its start to its last end"},
			},
			ruledOut: []string{"memory: the kernel did not end it"},
			logs:     p.Name, previous: true,
		}
		found = append(found, f)
	})
	return found
}

func exitWords(code int32) string {
	switch {
	case code == 0:
		return "it ended by itself; an app has to go on running"
	case code == 126, code == 127:
		return "the command could not be run"
	case code > 128 && code < 160:
		return fmt.Sprintf("signal %d", code-128)
	}
	return "the program's own"
}

// imageRule finds images that can't be pulled, and tells why.
func imageRule(s *snapshot) []finding {
	var found []finding
	s.eachContainer(func(p *corev1.Pod, c corev1.ContainerStatus) {
		waiting := c.State.Waiting
		if waiting == nil || !slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}, waiting.Reason) {
			return
		}
		words := waiting.Message
		for _, e := range s.events[p.Name] {
			if e.Reason == "Failed" && strings.Contains(e.Message, "pull") {
				words = e.Message
			}
		}
		subject := about(p, c.Name)
		why := pullWords(words)
		found = append(found, finding{
			detector: ImagePull, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: p.CreationTimestamp.Time, hold: imageHold,
			title:    fmt.Sprintf("%s can't get its image: %s", subject, why),
			summary:  fmt.Sprintf("An instance of %s can't be started because its image can't be pulled: %s.", subject, why),
			evidence: []agent.Fact{{Name: "image", Value: c.Image}, {Name: "answer", Value: short(words, 300), Why: why}},
		})
	})
	return found
}

// pullWords tells apart why a registry does not give an image.
func pullWords(message string) string {
	text := strings.ToLower(message)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case has("toomanyrequests", "429", "rate limit"):
		return "the registry's rate limit is used up"
	case has("unauthorized", "authorization failed", "401", "403", "denied"):
		return "the registry wants a login that is missing or has too few rights"
	case has("not found", "manifest unknown", "name unknown", "404"):
		return "there is no such image or tag"
	case has("no such host", "server misbehaving", "lookup "):
		return "the registry's name can't be resolved"
	case has("i/o timeout", "deadline exceeded", "connection refused", "no route", "unreachable"):
		return "the registry can't be reached"
	case has("no match for platform"):
		return "the image is for another kind of processor"
	}
	return "see the registry's words"
}

// pendingRule finds pods that the scheduler has no place for.
func pendingRule(s *snapshot) []finding {
	var found []finding
	for _, p := range s.pods {
		i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
		})
		subject := about(p, "")
		if i < 0 || p.Status.Phase != corev1.PodPending || subject.Kind == agent.SubjectFunction && subject.Name == "" {
			continue
		}
		condition := p.Status.Conditions[i]
		var cpu, memory int64
		for _, c := range p.Spec.Containers {
			cpu += c.Resources.Requests.Cpu().MilliValue()
			memory += c.Resources.Requests.Memory().Value()
		}
		f := finding{
			detector: Unschedulable, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: condition.LastTransitionTime.Time, hold: pendingHold,
			title:   fmt.Sprintf("%s waits for room", subject),
			summary: fmt.Sprintf("An instance of %s has no place to run: no node has the room that it asks for.", subject),
			evidence: []agent.Fact{
				{Name: "asks for", Value: fmt.Sprintf("%dm processor, %s memory", cpu, bytesText(memory))},
				{Name: "the scheduler", Value: short(condition.Message, 300), Why: "its own words"},
			},
		}
		if holders := s.holders(); holders != "" {
			f.evidence = append(f.evidence, agent.Fact{Name: "reserved by", Value: holders, Why: "what asks for the most"})
		}
		found = append(found, f)
	}
	return found
}

// holders names what reserves the most processors.
func (s *snapshot) holders() string {
	sums := map[string]int64{}
	for _, p := range s.pods {
		if p.Spec.NodeName == "" {
			continue
		}
		for _, c := range p.Spec.Containers {
			sums[keyOf(subjectOf(p))] += c.Resources.Requests.Cpu().MilliValue()
		}
	}
	var names []string
	for name, sum := range sums {
		if sum > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(sums[b] - sums[a]) })
	names = names[:min(len(names), 3)]
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %dm", name, sums[name])
	}
	return strings.Join(names, ", ")
}

// probeRule finds containers that run and do not pass their checks.
func probeRule(s *snapshot) []finding {
	var found []finding
	s.eachContainer(func(p *corev1.Pod, c corev1.ContainerStatus) {
		if c.State.Running == nil || s.now.Sub(c.State.Running.StartedAt.Time) < s.scale(probeGrace) {
			return
		}
		var last *corev1.Event
		for _, e := range s.events[p.Name] {
			if e.Reason == "Unhealthy" && (last == nil || eventTime(e).After(eventTime(last))) {
				last = e
			}
		}
		if last == nil {
			return
		}
		subject := about(p, c.Name)
		f := finding{
			detector: ProbeFailing, severity: agent.SeverityCritical, subject: subject, workload: workloadOf(p), since: last.FirstTimestamp.Time,
			title:   fmt.Sprintf("%s does not pass its health check", subject),
			summary: fmt.Sprintf("An instance of %s runs but does not pass its health check, so it gets no requests.", subject),
			evidence: []agent.Fact{
				{Name: "check", Value: short(last.Message, 300), Why: "what the last one met"},
				{Name: "failed", Value: fmt.Sprintf("%d times", max(last.Count, 1))},
			},
			logs: p.Name,
		}
		failing := !c.Ready && max(int(last.Count), 1) >= probeFailures && s.now.Sub(eventTime(last)) < probeWithin
		recovering := c.Ready && s.open[f.fingerprint()] && s.now.Sub(readySince(p)) < s.scale(probeReady)
		if failing || recovering {
			found = append(found, f)
		}
	})
	return found
}

func readySince(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func eventTime(e *corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	if at.IsZero() {
		at = e.EventTime.Time
	}
	return at
}

// releaseRule finds apps whose newest release has failed.
func releaseRule(s *snapshot) []finding {
	var found []finding
	for key, r := range s.releases {
		app := s.apps[key]
		if r.Status != agent.ReleaseFailed || r.Failure == nil {
			continue
		}
		subject := agent.Subject{Kind: agent.SubjectApp, Name: r.App, Environment: r.Environment}
		f := finding{
			detector: ReleaseFailed, severity: agent.SeverityCritical, subject: subject, since: r.FinishedAt,
			title:    fmt.Sprintf("release %d of %s failed", r.Number, subject),
			summary:  fmt.Sprintf("Release %d of %s failed: %s.", r.Number, subject, strings.TrimSuffix(r.Failure.Message, ".")),
			evidence: []agent.Fact{{Name: "release", Value: strconv.Itoa(r.Number), Why: r.Kind + " by " + r.By}, {Name: "reason", Value: short(r.Failure.Message, 300), Why: r.Failure.Fix}},
			lines:    r.Failure.Logs,
		}
		if r.Failure.ExitCode != nil {
			f.evidence = append(f.evidence, agent.Fact{Name: "exit code", Value: strconv.Itoa(*r.Failure.ExitCode), Why: exitWords(int32(*r.Failure.ExitCode))}) //nolint:gosec // an exit code
		}
		if app.Release > 0 {
			f.severity = agent.SeverityWarning
			f.ruledOut = []string{fmt.Sprintf("an outage: release %d goes on serving", app.Release)}
		}
		found = append(found, f)
	}
	return found
}
