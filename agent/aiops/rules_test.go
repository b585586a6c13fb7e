package aiops

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// pod is a running pod of web in production, changed as a case asks.
func pod(change func(p *corev1.Pod, c *corev1.ContainerStatus)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web-production-7c9d-x2k4q", CreationTimestamp: ago(time.Hour),
			Labels:          map[string]string{agent.LabelApp: "web", agent.LabelEnvironment: "production", agent.LabelRelease: "3", "pod-template-hash": "7c9d"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web-production-7c9d"}},
		},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(30 * time.Minute)}},
		}}},
	}
	change(p, &p.Status.ContainerStatuses[0])
	return p
}

func ended(reason string, code int32, before time.Duration) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, StartedAt: ago(before + time.Minute), FinishedAt: ago(before)}
}

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func unhealthy(before time.Duration, count int32) map[string][]*corev1.Event {
	return map[string][]*corev1.Event{"web-production-7c9d-x2k4q": {{Reason: "Unhealthy", Count: count, FirstTimestamp: ago(before + time.Minute), LastTimestamp: ago(before),
		Message: "Readiness probe failed: HTTP probe failed with statuscode: 500"}}}
}

func TestA74EachTroubleHasItsDetector(t *testing.T) {
	node := func(kind corev1.NodeConditionType, status corev1.ConditionStatus) []*corev1.Node {
		return []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: kind, Status: status, LastTransitionTime: ago(time.Hour)}}}}}
	}
	failed := agent.Release{App: "web", Environment: agent.Production, Number: 3, Status: agent.ReleaseFailed, Failure: &agent.Failure{Message: "the health check / answered 500", Logs: []string{"boom"}}, FinishedAt: noon}
	tests := map[string]struct {
		snapshot snapshot
		want     string // detectors
		words    string // in the title, the summary or the evidence
	}{
		"a healthy pod": {snapshot{pods: []*corev1.Pod{pod(func(*corev1.Pod, *corev1.ContainerStatus) {})}}, "", ""},
		"a restart long ago": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.LastTerminationState.Terminated = 7, ended("Error", 1, time.Hour)
		})}}, "", ""},
		"two crashes of a start": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.LastTerminationState.Terminated = 2, ended("Error", 1, time.Minute)
		})}}, "", ""},
		"a crash loop": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.State, c.LastTerminationState.Terminated = 4, waits("CrashLoopBackOff", ""), ended("Error", 3, time.Minute)
		})}}, CrashLoop, "exit code 3"},
		"the kernel's end": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.LastTerminationState.Terminated = 1, ended("OOMKilled", 137, 10*time.Minute)
		})}}, OOMKilled, "256 MiB"},
		"the kernel's end in a loop": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.State, c.LastTerminationState.Terminated = 9, waits("CrashLoopBackOff", ""), ended("OOMKilled", 137, time.Minute)
		})}}, OOMKilled, ""},
		"an image that is not there": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.State = waits("ImagePullBackOff", `Back-off pulling image "x:1": rpc error: code = NotFound desc = failed to resolve: x:1: not found`)
		})}}, ImagePull, "no such image"},
		"a registry's limit": {snapshot{pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.State = waits("ErrImagePull", "toomanyrequests: you have reached your pull rate limit")
		})}}, ImagePull, "rate limit"},
		"no room": {snapshot{pods: []*corev1.Pod{pod(func(p *corev1.Pod, _ *corev1.ContainerStatus) {
			p.Spec.NodeName, p.Status.Phase, p.Status.ContainerStatuses = "", corev1.PodPending, nil
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: 1 Insufficient cpu.", LastTransitionTime: ago(5 * time.Minute)}}
		})}}, Unschedulable, "Insufficient cpu"},
		"a failing check":                {snapshot{events: unhealthy(time.Minute, 9), pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) { c.Ready = false })}}, ProbeFailing, "statuscode: 500"},
		"one failed check":               {snapshot{events: unhealthy(time.Minute, 1), pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) { c.Ready = false })}}, "", ""},
		"a check that failed and passes": {snapshot{events: unhealthy(time.Minute, 9), pods: []*corev1.Pod{pod(func(*corev1.Pod, *corev1.ContainerStatus) {})}}, "", ""},
		"a start": {snapshot{events: unhealthy(time.Second, 9), pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.Ready, c.State.Running.StartedAt = false, ago(20*time.Second)
		})}}, "", ""},
		"crashes of a release on its way": {snapshot{apps: map[string]agent.App{"web/production": {Target: 3, Status: agent.AppUpdating}}, pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.State, c.LastTerminationState.Terminated = 4, waits("CrashLoopBackOff", ""), ended("Error", 3, time.Minute)
		})}}, "", ""},
		"a failed release and its pod": {snapshot{releases: map[string]agent.Release{"web/production": failed}, apps: map[string]agent.App{"web/production": {Release: 2, Status: agent.AppError}}, pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
			c.RestartCount, c.State, c.LastTerminationState.Terminated = 4, waits("CrashLoopBackOff", ""), ended("Error", 3, time.Minute)
		})}}, ReleaseFailed, "release 2 goes on serving"},
		"a lost node":             {snapshot{nodes: node(corev1.NodeReady, corev1.ConditionUnknown)}, NodeLost, "n1"},
		"a pressed node":          {snapshot{nodes: node(corev1.NodeMemoryPressure, corev1.ConditionTrue)}, NodePressure, "memory"},
		"a node without pressure": {snapshot{nodes: node(corev1.NodeMemoryPressure, corev1.ConditionFalse)}, "", ""},
		"a full disk":             {snapshot{figures: Figures{Nodes: []NodeFigures{{Name: "n1", DiskUsed: 96, DiskCapacity: 100}}}}, DiskFull, "96 %"},
		"half a disk":             {snapshot{figures: Figures{Nodes: []NodeFigures{{Name: "n1", DiskUsed: 50, DiskCapacity: 100}}}}, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := tt.snapshot
			s.now, s.scale = noon, func(d time.Duration) time.Duration { return d }
			var found []finding
			for _, r := range rules() {
				found = append(found, r(&s)...)
			}
			var detectors []string
			text := ""
			for _, f := range found {
				detectors = append(detectors, f.detector)
				text += f.title + f.summary + strings.Join(f.ruledOut, " ")
				for _, e := range f.evidence {
					text += e.Name + e.Value + e.Why
				}
				if strings.Contains(f.fingerprint(), "x2k4q") || strings.Contains(f.fingerprint(), "7c9d") {
					t.Errorf("the fingerprint %s holds what changes", f.fingerprint())
				}
				if f.subject.Kind == agent.SubjectApp && len(remedies(f, nil, "ws")) == 0 {
					t.Errorf("%s has no remedy", f.detector)
				}
			}
			if got := strings.Join(slices.Compact(detectors), " "); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			if !strings.Contains(text, tt.words) {
				t.Errorf("%q is not in %q", tt.words, text)
			}
		})
	}
}

func TestA74ACheckThatPassesAgainIsWatchedForAWhile(t *testing.T) {
	ready := func(since time.Duration) *snapshot {
		s := &snapshot{now: noon, scale: func(d time.Duration) time.Duration { return d }, events: unhealthy(time.Minute, 9)}
		s.pods = []*corev1.Pod{pod(func(p *corev1.Pod, _ *corev1.ContainerStatus) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}}
		})}
		s.open = map[string]bool{"web/production|web-production|app|probe-failing": true}
		return s
	}
	if got := probeRule(ready(time.Minute)); len(got) != 1 {
		t.Errorf("over after a minute: %v", got)
	}
	if got := probeRule(ready(6 * time.Minute)); len(got) != 0 {
		t.Errorf("goes on after six: %v", got)
	}
}

func TestRequestsAreWhatWasAddedSinceTheLastLook(t *testing.T) {
	counters := func(ok, failed, fast, slow string) []byte {
		labels := `host="web.localhost",path="/",service="ws/web-production:8080"`
		return []byte(`# TYPE hks_gateway_requests_total counter
hks_gateway_requests_total{` + labels + `,code="2xx"} ` + ok + `
hks_gateway_requests_total{` + labels + `,code="5xx"} ` + failed + `
# TYPE hks_gateway_request_duration_seconds histogram
hks_gateway_request_duration_seconds_bucket{` + labels + `,le="0.1"} ` + fast + `
hks_gateway_request_duration_seconds_bucket{` + labels + `,le="1"} ` + slow + `
hks_gateway_request_duration_seconds_bucket{` + labels + `,le="+Inf"} ` + slow + `
hks_gateway_request_duration_seconds_count{` + labels + `} ` + slow + `
hks_gateway_request_duration_seconds_sum{` + labels + `} 1
`)
	}
	of := func(namespace, name string) (agent.Subject, bool) {
		return agent.Subject{Kind: agent.SubjectApp, Name: "web", Environment: agent.Production}, namespace == "ws" && name == "web-production"
	}
	var c requestCounter
	if first, err := c.look(counters("1000", "50", "1000", "1050"), of); err != nil || len(first) != 0 {
		t.Fatalf("the first look has nothing to compare with: %v, %v", first, err)
	}
	got, err := c.look(counters("1090", "60", "1000", "1150"), of)
	if err != nil || len(got) != 1 || got[0].Count != 100 || got[0].Errors != 10 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].P95 < 900 || got[0].P95 > 1000 { // all of the new ones took between 0.1 and 1 s
		t.Errorf("P95 %v ms", got[0].P95)
	}
	if f, ok := (*watcher)(nil).subjectOfService("function", "mail"); !ok || f.String() != "function mail" {
		t.Errorf("a function is %v", f)
	}
	got, err = c.look(counters("5", "0", "5", "5"), of) // the gateway was started again
	if err != nil || len(got) != 1 || got[0].Count != 5 || got[0].P95 > 100 {
		t.Errorf("%+v, %v", got, err)
	}
}
