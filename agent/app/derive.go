package app

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// trouble is a reason why an instance does not run.
type trouble struct {
	kind     string // the same kind at the next look means: it goes on
	code     agent.Code
	message  string
	fix      string
	exitCode *int
	pod      string        // whose log tells more; may be empty
	earlier  bool          // the log is that of the container before the last restart
	patience time.Duration // how long it may go on before the release fails; 0: not at all; untilDeadline: as long as the release may take
}

// untilDeadline marks a trouble that often mends itself: only the release's
// own deadline ends the wait.
const untilDeadline = -1 * time.Second

// Kinds of troubles.
const (
	troubleRoom    = "room"  // no node has room
	troubleQuota   = "quota" // the workspace's quota is used up
	troubleRefused = "refused"
	troubleImage   = "image"
	troubleCreate  = "create"
	troubleCrash   = "crash"
	troubleReady   = "ready"
	troubleNode    = "node"
)

// How far an instance is; more is nearer to serving.
const (
	rankMade = iota
	rankScheduled
	rankPulled
	rankStarted
	rankReady
	rankServing // of a component: all of it was seen
)

// observation is what a look at the cluster says about what was asked.
type observation struct {
	complete bool     // all of it was seen
	rank     int      // of the slowest instance
	step     string   // of agent.Progress: how far that is
	message  string   // the same in plain words
	score    int      // grows with every instance that gets further
	pulling  bool     // an image is on its way; that may take long
	waiting  *trouble // there is no room; it goes on by itself when there is
	trouble  *trouble // the worst of the others
}

// observe tells from objects of the cluster how far what was asked is, and
// what is in its way. It is pure: the same objects give the same answer.
func (v views) observe(g goal) observation {
	all := observation{complete: true, rank: rankServing}
	instances, ready := 0, 0
	for _, c := range g.spec.Components {
		one := v.of(c.Name)
		a := g.of(c, one)
		o := derive(one, a)
		if len(g.spec.Components) > 1 {
			o.name(c.Name)
		}
		instances, ready = instances+a.replicas, ready+min(one.ready(), a.replicas)
		all.complete = all.complete && o.complete
		all.score += o.score
		all.pulling = all.pulling || o.pulling
		all.waiting = first(all.waiting, o.waiting)
		all.trouble = worse(all.trouble, o.trouble)
		if o.rank < all.rank || all.step == "" {
			all.rank, all.step, all.message = o.rank, o.step, o.message
		}
	}
	switch {
	case all.complete:
		all.step, all.message = "ready", readyWords(instances, instances)
	case all.trouble != nil:
		all.message = all.trouble.message
	case all.waiting != nil:
		all.step, all.message = "schedule", all.waiting.message
	case all.rank >= rankReady && len(g.spec.Components) > 1:
		all.message = readyWords(ready, instances)
	}
	return all
}

// name says which component an observation is of.
func (o *observation) name(component string) {
	o.message = component + ": " + o.message
	for _, t := range []**trouble{&o.waiting, &o.trouble} {
		if *t != nil {
			named := **t
			named.message = component + ": " + named.message
			*t = &named
		}
	}
}

// derive is observe for one component.
func derive(v view, a asked) observation {
	o := observation{complete: v.rolledOut(a), step: "apply", message: "handing the release to the cluster"}
	if !v.holds(a) {
		return o
	}
	o.step, o.message = "schedule", "looking for room"
	slowest := rankReady + 1
	for _, p := range v.pods {
		if p.DeletionTimestamp != nil || releaseOf(p.Labels) != a.release || p.Annotations[annotationRestarted] != a.restart {
			continue // it is on its way out, whatever ails it
		}
		i := examine(v, p, a.spec)
		o.score += i.rank
		o.pulling = o.pulling || i.pulling
		o.waiting = first(o.waiting, i.waiting)
		o.trouble = worse(o.trouble, i.trouble)
		if i.rank < slowest {
			slowest, o.step, o.message = i.rank, i.step, i.message
		}
	}
	if slowest <= rankReady { // else no instance is there yet
		o.rank = slowest
	}
	o.addRefusal(v.refusal())
	switch {
	case o.complete:
		o.rank, o.step, o.message = rankServing, "ready", readyWords(a.replicas, a.replicas)
		o.waiting, o.trouble = nil, nil
	case o.trouble != nil:
		o.message = o.trouble.message
	case o.waiting != nil:
		o.step, o.message = "schedule", o.waiting.message
	case slowest == rankReady:
		// All that are there are ready; the next are still to come.
		o.step, o.message = "ready", readyWords(min(v.ready(), a.replicas), a.replicas)
	}
	return o
}

// addRefusal judges the words with which a pod was not even made.
func (o *observation) addRefusal(words string) {
	if words == "" {
		return
	}
	if refusal, ok := kube.ParseQuota(words); ok {
		o.waiting = first(o.waiting, &trouble{
			kind: troubleQuota, code: agent.CodeQuota,
			message: "the workspace's quota has no room for one more instance: " + refusal.String(),
			fix:     "stop or scale down another app, or ask for less with --cpu and --memory; it goes on by itself when there is room",
		})
		return
	}
	t := &trouble{kind: troubleRefused, code: agent.CodeRollout, message: "the cluster refuses to make an instance: " + words,
		fix: "correct the setting it names and deploy again"}
	switch {
	case strings.Contains(words, "usage per Container is"), strings.Contains(words, "usage per Pod is"):
		t.code, t.fix = agent.CodeQuota, "ask for an amount inside the limits with --cpu and --memory"
	case strings.Contains(words, "violates PodSecurity"):
	default:
		t.patience = untilDeadline
	}
	o.trouble = worse(o.trouble, t)
}

// look is what one pod shows.
type look struct {
	phase   string // of agent.Instance
	rank    int
	step    string
	message string
	pulling bool
	waiting *trouble
	trouble *trouble
}

// examine tells how far a pod is and what is in its way.
func examine(v view, p *corev1.Pod, spec agent.Component) look {
	if p.DeletionTimestamp != nil {
		return look{phase: "stopping", step: "ready", message: "stopping"}
	}
	if p.Status.Phase == corev1.PodFailed {
		words := strings.TrimSpace(p.Status.Reason + ": " + p.Status.Message)
		return look{phase: "crashed", rank: rankMade, step: "start", message: words, trouble: &trouble{
			kind: troubleNode, code: agent.CodeRollout, message: "the node put the instance out: " + words,
			fix: "free memory or disk on the machine; another instance is made by itself", pod: p.Name, patience: untilDeadline}}
	}
	if reason, ok := unscheduled(p); ok {
		l := look{phase: "pending", rank: rankMade, step: "schedule", message: "looking for room"}
		if reason != "" {
			l.waiting = roomTrouble(reason, p, v.taints)
			l.message = l.waiting.message
		}
		return l
	}
	status := containerStatus(p)
	switch {
	case status == nil:
		return starting(v, p)
	case status.State.Waiting != nil && !crashLoop(status):
		return waitingContainer(v, p, status)
	case status.State.Running != nil && podReady(p):
		return look{phase: "ready", rank: rankReady, step: "ready", message: "ready"}
	case status.State.Running != nil:
		return startedContainer(v, p, status, spec)
	}
	t := crash(p, status, spec)
	return look{phase: "crashed", rank: rankPulled, step: "start", message: t.message, trouble: t}
}

// starting is a pod on a node, whose container is not there yet.
func starting(v view, p *corev1.Pod) look {
	pulling, pulled := v.event(p.Name, "Pulling"), v.event(p.Name, "Pulled", "Failed")
	l := look{phase: "starting", rank: rankScheduled, step: "pull", message: "preparing the instance"}
	switch {
	case pulling != nil && (pulled == nil || eventTime(pulled).Before(eventTime(pulling))):
		return look{phase: "pulling", rank: rankScheduled, step: "pull", message: "pulling the image", pulling: true}
	case pulled != nil && pulled.Reason == "Failed":
		// The container's status is about to say the same.
		return refusedImage(v, p, corev1.ContainerStateWaiting{Reason: "ErrImagePull"})
	case pulled != nil:
		l.rank, l.step, l.message = rankPulled, "start", "starting"
	}
	if e := v.event(p.Name, "FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume"); e != nil {
		if volumeComing(e) {
			l.message = "waiting for its volume"
			return l
		}
		l.trouble = &trouble{kind: troubleNode, code: agent.CodeRollout, message: "the node can't start the instance: " + plain(e.Message),
			fix: "see that the node is well: hks status", pod: p.Name, patience: untilDeadline}
		l.message = l.trouble.message
	}
	return l
}

// mountTries is how often the node has tried after about half a minute.
const mountTries = 6

// volumeComing tells whether the node found a volume's folder missing, as it is
// for a moment while the volume is mounted or grows, and has not tried for long.
func volumeComing(e *corev1.Event) bool {
	tries := e.Count
	if e.Series != nil {
		tries = e.Series.Count
	}
	return e.Reason == "FailedMount" && strings.Contains(e.Message, "/volumes/pvc-") && strings.Contains(e.Message, "does not exist") && tries < mountTries
}

// waitingContainer is a container that the node can't bring to its start.
func waitingContainer(v view, p *corev1.Pod, status *corev1.ContainerStatus) look {
	waiting := status.State.Waiting
	switch waiting.Reason {
	case "", "ContainerCreating", "PodInitializing":
		return starting(v, p)
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		return refusedImage(v, p, *waiting)
	}
	t := createTrouble(p, waiting)
	return look{phase: "crashed", rank: rankPulled, step: "start", message: t.message, trouble: t}
}

func refusedImage(v view, p *corev1.Pod, waiting corev1.ContainerStateWaiting) look {
	t := imageTrouble(v, p, waiting)
	return look{phase: "pulling", rank: rankScheduled, step: "pull", message: t.message, trouble: t}
}

// startedContainer runs and is not ready.
func startedContainer(v view, p *corev1.Pod, status *corev1.ContainerStatus, spec agent.Component) look {
	l := look{phase: "starting", rank: rankStarted, step: "ready", message: "started, not ready yet"}
	if status.RestartCount > 0 && status.LastTerminationState.Terminated != nil {
		l.rank = rankPulled
		l.trouble = crash(p, status, spec)
		l.trouble.earlier, l.trouble.patience = true, untilDeadline
		l.message = l.trouble.message
		return l
	}
	if l.trouble = readyTrouble(v, p, status, spec); l.trouble != nil {
		l.message = l.trouble.message
	}
	return l
}

// crashLoop tells whether the node waits before it starts the container again.
func crashLoop(status *corev1.ContainerStatus) bool {
	return status.State.Waiting.Reason == "CrashLoopBackOff" && status.LastTerminationState.Terminated != nil
}

// unscheduled tells whether a pod has no node yet, and what the scheduler
// says when it found none.
func unscheduled(p *corev1.Pod) (reason string, ok bool) {
	if p.Spec.NodeName != "" {
		return "", false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message, true
		}
	}
	return "", true
}

func containerStatus(p *corev1.Pod) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if p.Status.ContainerStatuses[i].Name == containerName {
			return &p.Status.ContainerStatuses[i]
		}
	}
	return nil
}

func readyWords(ready, of int) string {
	if of == 1 && ready == 1 {
		return "the instance is ready"
	}
	return fmt.Sprintf("%d of %s ready", ready, instances(of))
}

func first(a, b *trouble) *trouble {
	if a != nil {
		return a
	}
	return b
}

// worse prefers the trouble that ends the wait sooner.
func worse(a, b *trouble) *trouble {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case b.patience == untilDeadline:
		return a
	case a.patience == untilDeadline, b.patience < a.patience:
		return b
	}
	return a
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
