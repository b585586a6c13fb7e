package app

import (
	"cmp"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// view is what informers show of an app at one moment. Its objects are shared
// and never changed.
type view struct {
	deployment *appsv1.Deployment // nil: none
	pods       []*corev1.Pod      // by name; stopping ones too
	events     map[string][]*corev1.Event
	taints     []string // keys of what keeps pods off nodes
}

// asked is what the cluster should be doing for an app.
type asked struct {
	release  int
	spec     agent.Spec
	replicas int
	restart  string // restartMark; empty: never
}

// holds tells whether the Deployment is as asked. A rollout may still be on
// its way.
func (v view) holds(a asked) bool {
	d := v.deployment
	return d != nil && releaseOf(d.Labels) == a.release && d.Spec.Replicas != nil && int(*d.Spec.Replicas) == a.replicas &&
		d.Spec.Template.Annotations[annotationRestarted] == a.restart
}

// rolledOut tells whether all of what is asked was seen: the same conditions
// as of kubectl rollout status, and the pods themselves. Old pods that are
// already stopping don't count.
func (v view) rolledOut(a asked) bool {
	if !v.holds(a) {
		return false
	}
	status := v.deployment.Status
	return status.ObservedGeneration >= v.deployment.Generation &&
		int(status.UpdatedReplicas) == a.replicas &&
		status.Replicas == status.UpdatedReplicas &&
		status.AvailableReplicas == status.UpdatedReplicas &&
		v.readyOf(a.release) >= a.replicas
}

// settled tells whether the current pod template was once wholly rolled out,
// so that missing instances are a trouble of now and not of a rollout.
func (v view) settled() bool {
	if v.deployment == nil || v.deployment.Status.ObservedGeneration < v.deployment.Generation {
		return false
	}
	for _, c := range v.deployment.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing {
			return c.Status == corev1.ConditionTrue && c.Reason == "NewReplicaSetAvailable"
		}
	}
	return false
}

// refusal is what Kubernetes says when it may not make a pod.
func (v view) refusal() string {
	if v.deployment == nil || v.deployment.Status.ObservedGeneration < v.deployment.Generation {
		return ""
	}
	for _, c := range v.deployment.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// ready counts the instances that serve, of whatever release.
func (v view) ready() int {
	return v.count(func(*corev1.Pod) bool { return true })
}

// readyOf counts the instances of one release that serve.
func (v view) readyOf(release int) int {
	return v.count(func(p *corev1.Pod) bool { return releaseOf(p.Labels) == release })
}

func (v view) count(which func(*corev1.Pod) bool) int {
	n := 0
	for _, p := range v.pods {
		if p.DeletionTimestamp == nil && podReady(p) && which(p) {
			n++
		}
	}
	return n
}

// event returns the newest event of a pod with one of the reasons.
func (v view) event(pod string, reasons ...string) *corev1.Event {
	var newest *corev1.Event
	for _, e := range v.events[pod] {
		if slices.Contains(reasons, e.Reason) && (newest == nil || eventTime(e).After(eventTime(newest))) {
			newest = e
		}
	}
	return newest
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// releaseOf reads the release number off labels; 0 when there is none.
func releaseOf(labels map[string]string) int {
	n, err := strconv.Atoi(labels[agent.LabelRelease])
	if err != nil {
		return 0
	}
	return n
}

func byName(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) }
