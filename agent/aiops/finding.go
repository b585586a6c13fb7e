package aiops

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// The detectors beside those of package detect.
const (
	CrashLoop     = "crash-loop"
	OOMKilled     = "oom-killed"
	ImagePull     = "image-pull"
	Unschedulable = "unschedulable"
	ProbeFailing  = "probe-failing"
	ReleaseFailed = "release-failed"
	NodePressure  = "node-pressure"
	NodeLost      = "node-lost"
	DiskFull      = "disk-full"
	CronFailed    = "cron-failed"
	RunFailed     = "run-failed"
	BackupFailed  = "backup-failed"
	Certificate   = "certificate"
	// AddressChanged is of a machine with another address or name than its cluster was made with.
	AddressChanged = "address-changed"
)

// finding is what a detector says of one thing now. As long as the trouble
// lasts, each look finds it again.
type finding struct {
	detector  string
	severity  string
	subject   agent.Subject
	workload  string // the Deployment or the like; with subject, container and detector the fingerprint
	title     string
	summary   string
	since     time.Time // when the trouble began; zero: when it was found
	evidence  []agent.Fact
	ruledOut  []string
	hold      time.Duration // since when it must have lasted before anyone is told
	clear     time.Duration // for how long it must not be found before it is over
	logs      string        // whose last lines belong to it: a pod; empty: none
	previous  bool          // those of the container before the restart
	lines     []string      // last lines that are known already
	confident float64
	limit     time.Duration // until it hits its limit
	look      time.Duration // how far back a change may have caused it; 0: an hour
	memory    int64         // the limit of memory in force, bytes, where a higher one would help
}

// fingerprint names the trouble, with nothing in it that changes while the
// trouble is the same.
func (f finding) fingerprint() string {
	return strings.Join([]string{keyOf(f.subject), f.workload, f.subject.Container, f.detector}, "|")
}

// snapshot is what rules look at.
type snapshot struct {
	now      time.Time
	pods     []*corev1.Pod
	events   map[string][]*corev1.Event // by pod
	nodes    []*corev1.Node
	apps     map[string]agent.App     // by key
	releases map[string]agent.Release // the newest, where it failed, by key
	figures  Figures
	kills    map[string]kills // by the pods' uid
	open     map[string]bool  // fingerprints of incidents that go on
	scale    func(time.Duration) time.Duration
}

// rule is a detector of what Kubernetes says.
type rule func(s *snapshot) []finding

// rules are all of them, what explains others first.
func rules() []rule {
	return []rule{nodeRule, diskRule, releaseRule, oomRule, killRule, crashRule, imageRule, pendingRule, probeRule}
}

// deploying tells whether a release of the app is on its way: what its pods
// do meanwhile is the release's own business.
func (s *snapshot) deploying(subject agent.Subject) bool {
	app, ok := s.apps[keyOf(subject)]
	return ok && (app.Target != 0 || app.Status == agent.AppDeploying || app.Status == agent.AppUpdating && app.Target != 0 || app.Status == agent.AppStopping || app.Status == agent.AppDeleting)
}

// abandoned tells whether a pod is of a release that failed: told already.
func (s *snapshot) abandoned(p *corev1.Pod) bool {
	r, ok := s.releases[keyOf(subjectOf(p))]
	return ok && p.Labels[agent.LabelRelease] == releaseLabel(r)
}

// workloadOf is the name of what a pod is an instance of.
func workloadOf(p *corev1.Pod) string {
	if len(p.OwnerReferences) == 0 {
		return p.Name
	}
	o, hash := p.OwnerReferences[0], p.Labels["pod-template-hash"]
	if o.Kind == "ReplicaSet" && hash != "" {
		return strings.TrimSuffix(o.Name, "-"+hash)
	}
	return o.Name
}

// subjectOf tells what a pod belongs to. One that the owner made without hks is
// named by its workload.
func subjectOf(p *corev1.Pod) agent.Subject {
	s := SubjectOf(p.Labels)
	if s.Kind == agent.SubjectWorkspace {
		s.Name = workloadOf(p)
	}
	return s
}

// about is the subject of a pod's container.
func about(p *corev1.Pod, container string) agent.Subject {
	s := subjectOf(p)
	s.Pod, s.Container, s.Node = p.Name, container, p.Spec.NodeName
	return s
}
