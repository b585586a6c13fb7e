package app

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// aView is a Deployment of release 3 with one replica, and the given pods.
func aView(pods ...*corev1.Pod) view {
	one := int32(1)
	v := view{events: map[string][]*corev1.Event{}, pods: pods, deployment: &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web-staging", Generation: 5, Labels: map[string]string{agent.LabelRelease: "3"}},
		Spec:       appsv1.DeploymentSpec{Replicas: &one},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 5},
	}}
	return v
}

func (v view) withStatus(s appsv1.DeploymentStatus) view {
	v.deployment.Status = s
	return v
}

func (v view) withEvent(pod, reason, message string, at time.Time) view {
	v.events[pod] = append(v.events[pod], &corev1.Event{Reason: reason, Message: message, LastTimestamp: metav1.NewTime(at)})
	return v
}

func (v view) withTaints(keys ...string) view {
	v.taints = keys
	return v
}

func (v view) refusing(words string) view {
	v.deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: words}}
	return v
}

func aPod(release string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{agent.LabelRelease: release}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: containerName, Image: "web", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("1Gi"),
		}}}}},
	}
	for _, c := range change {
		c(p)
	}
	for i := range p.Status.ContainerStatuses {
		if r := p.Status.ContainerStatuses[i].State.Running; r != nil {
			r.StartedAt = metav1.NewTime(noon)
		}
	}
	return p
}

func stopping(p *corev1.Pod) {
	at := metav1.NewTime(noon)
	p.DeletionTimestamp = &at
}

func scheduled(p *corev1.Pod) { p.Spec.NodeName = "node-1" }

func ended(code int32, reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		scheduled(p)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: containerName, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
		}}}
	}
}

var complete1 = appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}

func TestDerive(t *testing.T) {
	type want struct {
		complete bool
		step     string
		message  string // part of it
		waiting  string // its kind
		trouble  string // its kind
		patience time.Duration
		pulling  bool
	}
	tests := map[string]struct {
		view view
		want want
	}{
		"no Deployment":                           {view{}, want{step: "apply"}},
		"Deployment of the release before":        {func() view { v := aView(); v.deployment.Labels = nil; return v }(), want{step: "apply"}},
		"other number of replicas":                {func() view { v := aView(); *v.deployment.Spec.Replicas = 2; return v }(), want{step: "apply"}},
		"nothing there yet":                       {aView(), want{step: "schedule"}},
		"A10 complete":                            {aView(aPod("3", ready)).withStatus(complete1), want{complete: true, step: "ready", message: "the instance is ready"}},
		"A10 old pod stopping does not count":     {aView(aPod("2", ready, stopping), aPod("3", ready)).withStatus(complete1), want{complete: true, step: "ready"}},
		"status of the generation before":         {aView(aPod("2", ready)).withStatus(appsv1.DeploymentStatus{ObservedGeneration: 4, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}), want{step: "schedule"}},
		"old pod still there":                     {aView(aPod("2", ready), aPod("3", ready)).withStatus(appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 2}), want{step: "ready"}},
		"counts without the pod":                  {aView().withStatus(complete1), want{step: "schedule"}},
		"not looked at by the scheduler yet":      {aView(aPod("3")), want{step: "schedule", message: "looking for room"}},
		"A14 no CPU":                              {aView(aPod("3", noRoom("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found."))), want{step: "schedule", waiting: troubleRoom, message: "no room in the shared node pool: no node has 0.2 cores free, which an instance reserves"}},
		"A14 no memory on one, taint on other":    {aView(aPod("3", noRoom("0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s). preemption: none"))).withTaints(agent.TaintDedicated), want{step: "schedule", waiting: troubleRoom, message: "no node has 1 GiB of memory free, which an instance reserves; a dedicated node is kept for what was moved to it"}},
		"A14 taint":                               {aView(aPod("3", noRoom("0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: x"))).withTaints("test"), want{step: "schedule", waiting: troubleRoom, message: "kept free by the taint test"}},
		"A14 disk pressure":                       {aView(aPod("3", noRoom("0/1 nodes are available: 1 node(s) had untolerated taint(s)."))).withTaints(corev1.TaintNodeDiskPressure), want{step: "schedule", waiting: troubleRoom, message: "the node's disk is nearly full"}},
		"A14 odd words":                           {aView(aPod("3", noRoom("something\nnew"))), want{step: "schedule", waiting: troubleRoom, message: "no node has room: something new"}},
		"A14 quota":                               {aView().refusing(`pods "x" is forbidden: exceeded quota: hks, requested: limits.memory=256Mi, used: limits.memory=1Gi, limited: limits.memory=1Gi`), want{step: "schedule", waiting: troubleQuota, message: "memory limit: 256Mi asked, 1Gi of 1Gi used"}},
		"limit range":                             {aView().refusing(`pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi`), want{step: "schedule", trouble: troubleRefused, message: "maximum memory usage"}},
		"pod security":                            {aView().refusing(`pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged`), want{step: "schedule", trouble: troubleRefused, message: "violates PodSecurity"}},
		"other refusal may pass":                  {aView().refusing(`pods "x" is forbidden: serviceaccount "default" not found`), want{step: "schedule", trouble: troubleRefused, patience: untilDeadline}},
		"refusal of the generation before":        {func() view { v := aView().refusing("no"); v.deployment.Generation = 6; return v }(), want{step: "schedule"}},
		"on a node":                               {aView(aPod("3", scheduled)), want{step: "pull", message: "preparing"}},
		"pulling":                                 {aView(aPod("3", waiting("ContainerCreating", ""))).withEvent("p", "Pulling", "", noon), want{step: "pull", pulling: true, message: "pulling the image"}},
		"pulled":                                  {aView(aPod("3", waiting("ContainerCreating", ""))).withEvent("p", "Pulling", "", noon).withEvent("p", "Pulled", "", noon.Add(time.Second)), want{step: "start"}},
		"A13 pull failed, only the event says so": {aView(aPod("3", waiting("ContainerCreating", ""))).withEvent("p", "Pulling", "", noon).withEvent("p", "Failed", `Failed to pull image "x": no such host`, noon.Add(time.Second)), want{step: "pull", trouble: troubleImage, patience: imagePatience, message: "no such host"}},
		"no sandbox":                              {aView(aPod("3", waiting("ContainerCreating", ""))).withEvent("p", "FailedCreatePodSandBox", "no CNI", noon), want{step: "pull", trouble: troubleNode, patience: untilDeadline, message: "no CNI"}},
		"A13 not found":                           {aView(aPod("3", waiting("ErrImagePull", `rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/x:1": failed to resolve reference "docker.io/library/x:1": docker.io/library/x:1: not found`))), want{step: "pull", trouble: troubleImage, message: `the image can't be pulled: failed to resolve reference "docker.io/library/x:1": docker.io/library/x:1: not found`}},
		"A13 unauthorized while backing off":      {aView(aPod("3", waiting("ImagePullBackOff", `Back-off pulling image "r.io/x:1": ErrImagePull: failed to authorize: 401 Unauthorized`))), want{step: "pull", trouble: troubleImage, message: "can't be pulled: failed to authorize: 401 Unauthorized"}},
		"A13 old words, the event has them":       {aView(aPod("3", waiting("ImagePullBackOff", `Back-off pulling image "x"`))).withEvent("p", "Failed", `Failed to pull image "x": pull access denied`, noon), want{step: "pull", trouble: troubleImage, message: "can't be pulled: pull access denied"}},
		"A13 no network":                          {aView(aPod("3", waiting("ErrImagePull", "dial tcp: i/o timeout"))), want{step: "pull", trouble: troubleImage, patience: imagePatience}},
		"A13 digits of a digest are no status":    {aView(aPod("3", waiting("ErrImagePull", "sha256:9404aa: i/o timeout"))), want{step: "pull", trouble: troubleImage, patience: imagePatience}},
		"A13 bad name":                            {aView(aPod("3", waiting("InvalidImageName", "couldn't parse"))), want{step: "pull", trouble: troubleImage}},
		"root":                                    {aView(aPod("3", waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root (pod: x)"))), want{step: "start", trouble: troubleCreate, message: "the image runs as root, which the workspace does not allow"}},
		"user by name":                            {aView(aPod("3", waiting("CreateContainerConfigError", "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root"))), want{step: "start", trouble: troubleCreate, message: "names its user by a name"}},
		"secret not seen yet":                     {aView(aPod("3", waiting("CreateContainerConfigError", `secret "web-staging-3" not found`))), want{step: "start", trouble: troubleCreate, patience: createPatience}},
		"no such command":                         {aView(aPod("3", waiting("RunContainerError", `exec: "serve": executable file not found in $PATH`))), want{step: "start", trouble: troubleCreate, message: "the command can't be run"}},
		"no such command, as ended":               {aView(aPod("3", ended(128, "StartError", `exec: "serve": not found`))), want{step: "start", trouble: troubleCrash, message: "the command can't be run"}},
		"A17 first crash":                         {aView(aPod("3", crashed(7, 1))), want{step: "start", trouble: troubleCrash, patience: untilDeadline, message: "exit code 7, started 2 times"}},
		"A17 third crash":                         {aView(aPod("3", crashed(7, 2))), want{step: "start", trouble: troubleCrash, message: "exit code 7, started 3 times"}},
		"A17 ended well":                          {aView(aPod("3", ended(0, "Completed", ""))), want{step: "start", trouble: troubleCrash, patience: untilDeadline, message: "an app has to go on running"}},
		"A17 signal":                              {aView(aPod("3", ended(139, "Error", ""))), want{step: "start", trouble: troubleCrash, patience: untilDeadline, message: "signal 11"}},
		"A17 out of memory":                       {aView(aPod("3", ended(137, "OOMKilled", ""))), want{step: "start", trouble: troubleCrash, patience: untilDeadline, message: "more than its 256 MiB of memory"}},
		"A17 started again": {aView(aPod("3", running, func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].RestartCount = 1
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2}
		})), want{step: "ready", trouble: troubleCrash, patience: untilDeadline, message: "exit code 2"}},
		"A17 nothing listens":           {aView(aPod("3", running)).withEvent("p", "Unhealthy", "Startup probe failed: dial tcp 10.1.1.1:8080: connect: connection refused", noon.Add(4*time.Second)), want{step: "ready", trouble: troubleReady, patience: untilDeadline, message: "nothing listens on port 8080"}},
		"A17 health answers 500":        {aView(aPod("3", running)).withEvent("p", "Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 500", noon.Add(4*time.Second)), want{step: "ready", trouble: troubleReady, patience: untilDeadline, message: "the health check /healthz answered 500"}},
		"A17 health too slow":           {aView(aPod("3", running)).withEvent("p", "Unhealthy", `Readiness probe failed: Get "http://10.1.1.1:8080/healthz": context deadline exceeded`, noon.Add(4*time.Second)), want{step: "ready", trouble: troubleReady, patience: untilDeadline, message: "did not answer in time"}},
		"event of the container before": {aView(aPod("3", running)).withEvent("p", "Unhealthy", "connection refused", noon.Add(-time.Minute)), want{step: "ready", message: "not ready yet"}},
		"every app needs a moment":      {aView(aPod("3", running)).withEvent("p", "Unhealthy", "connection refused", noon.Add(time.Second)), want{step: "ready", message: "not ready yet"}},
		"put out by the node": {aView(aPod("3", func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}
		}), aPod("3", ready)).withStatus(complete1), want{complete: true, step: "ready"}},
		"trouble of an old release is not ours": {aView(aPod("2", crashed(1, 9))), want{step: "schedule"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := derive(tt.view, asked{release: 3, replicas: 1, spec: agent.Component{Port: 8080, Health: "/healthz"}})
			if o.complete != tt.want.complete || o.step != tt.want.step || o.pulling != tt.want.pulling || !strings.Contains(o.message, tt.want.message) {
				t.Errorf("complete %v, step %s, pulling %v, message %q", o.complete, o.step, o.pulling, o.message)
			}
			if kindOf(o.waiting) != tt.want.waiting || kindOf(o.trouble) != tt.want.trouble {
				t.Errorf("waiting %+v, trouble %+v", o.waiting, o.trouble)
			}
			if o.trouble != nil && o.trouble.patience != tt.want.patience {
				t.Errorf("patience %s, want %s", o.trouble.patience, tt.want.patience)
			}
			for _, found := range []*trouble{o.trouble, o.waiting} {
				if found != nil && (found.message == "" || found.fix == "" || found.code == "" || strings.Contains(found.message, "\n")) {
					t.Errorf("not for people: %+v", found)
				}
			}
		})
	}
}

func kindOf(t *trouble) string {
	if t == nil {
		return ""
	}
	return t.kind
}

func TestDeriveOfSeveralInstances(t *testing.T) {
	three := func(pods ...*corev1.Pod) view {
		v := aView(pods...)
		*v.deployment.Spec.Replicas = 3
		return v
	}
	a := asked{release: 3, replicas: 3, spec: agent.Component{Port: 8080}}
	if o := derive(three(aPod("3", ready), aPod("3", ready)), a); o.step != "ready" || o.message != "2 of 3 instances ready" || o.score != 2*rankReady {
		t.Errorf("two of three: %+v", o)
	}
	if o := derive(three(aPod("3", ready), aPod("3", waiting("ErrImagePull", "timeout")), aPod("3", crashed(1, 2))), a); kindOf(o.trouble) != troubleCrash {
		t.Errorf("the trouble that ends the wait sooner is not told: %+v", o.trouble)
	}
	if o := derive(three(aPod("3", ready), aPod("3", noRoom("0/1 nodes are available: 1 Too many pods."))), a); kindOf(o.waiting) != troubleRoom || o.trouble != nil {
		t.Errorf("no room for the second: %+v", o)
	}
}

func TestA19RestartIsNotJudgedByTheOldInstance(t *testing.T) {
	restarted := func(p *corev1.Pod) { p.Annotations = map[string]string{annotationRestarted: "now"} }
	v := aView(aPod("3", crashed(1, 9)))
	v.deployment.Spec.Template.Annotations = map[string]string{annotationRestarted: "now"}
	a := asked{release: 3, replicas: 1, spec: agent.Component{Port: 8080}, restart: "now"}
	if o := derive(v, a); o.trouble != nil || o.complete || o.step != "schedule" {
		t.Errorf("before the new instance is there: %+v", o)
	}
	v.pods = append(v.pods, aPod("3", ready, restarted))
	if o := derive(v, a); o.trouble != nil || o.step != "ready" {
		t.Errorf("the new one is ready: %+v", o)
	}
}

func TestJudge(t *testing.T) {
	const deadline, pull = 2 * time.Minute, 15 * time.Minute
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	crash := &trouble{kind: troubleCrash, patience: untilDeadline, message: "crash"}
	image := &trouble{kind: troubleImage, patience: time.Minute, message: "image"}
	now := &trouble{kind: troubleImage, message: "not found"}
	type look struct {
		at   time.Duration
		o    observation
		fail string // message; empty: goes on
		left time.Duration
	}
	tests := map[string][]look{
		"no progress":                     {{0, observation{}, "", deadline}, {deadline, observation{message: "starting"}, "it made no progress for 2m0s; last seen: starting", never}},
		"progress begins the time anew":   {{0, observation{}, "", deadline}, {time.Minute, observation{score: 1}, "", deadline}, {2 * time.Minute, observation{score: 1}, "", time.Minute}},
		"less than before is no progress": {{0, observation{score: 4}, "", deadline}, {time.Minute, observation{score: 2}, "", time.Minute}, {90 * time.Second, observation{score: 4}, "", 30 * time.Second}},
		"definite words":                  {{0, observation{trouble: now}, "not found", never}},
		"patience":                        {{0, observation{trouble: image}, "", time.Minute}, {59 * time.Second, observation{trouble: image}, "", time.Second}, {time.Minute, observation{trouble: image}, "image", never}},
		"patience begins anew":            {{0, observation{trouble: image}, "", time.Minute}, {30 * time.Second, observation{}, "", 90 * time.Second}, {40 * time.Second, observation{trouble: image}, "", time.Minute}},
		"deadline with its trouble":       {{0, observation{}, "", deadline}, {deadline, observation{trouble: crash}, "crash", never}},
		"A14 no room stops the clock":     {{0, observation{waiting: crash}, "", never}, {time.Hour, observation{waiting: crash}, "", never}, {time.Hour + time.Second, observation{}, "", deadline - time.Second}},
		"time after a pull is its own":    {{0, observation{pulling: true}, "", pull}, {10 * time.Minute, observation{}, "", deadline}, {11 * time.Minute, observation{pulling: true}, "", pull}},
		"pulling may take longer":         {{0, observation{pulling: true}, "", pull}, {10 * time.Minute, observation{pulling: true}, "", 5 * time.Minute}, {pull, observation{pulling: true, message: "pulling"}, "it made no progress for 15m0s; last seen: pulling", never}},
	}
	for name, looks := range tests {
		t.Run(name, func(t *testing.T) {
			r := &rollout{since: noon}
			for _, l := range looks {
				failed, left := r.judge(l.o, at(l.at), deadline, pull)
				message := ""
				if failed != nil {
					message = failed.message
				}
				if message != l.fail || left != l.left {
					t.Errorf("at %s: %q, %s left; want %q, %s", l.at, message, left, l.fail, l.left)
				}
			}
		})
	}
}
