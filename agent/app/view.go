package app

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
)

// views is what informers show of an app at one moment, by component.
type views map[string]view

// of returns the view of a component; an empty one when nothing is there.
func (v views) of(component string) view { return v[component] }

// pods are those of all components, by name.
func (v views) pods() []*corev1.Pod {
	var all []*corev1.Pod
	for _, one := range v {
		all = append(all, one.pods...)
	}
	slices.SortFunc(all, byName)
	return all
}

// ready counts the instances that serve, of all components and releases.
func (v views) ready() int {
	n := 0
	for _, one := range v {
		n += one.ready()
	}
	return n
}

// replicas counts the instances that the cluster was told to keep up.
func (v views) replicas() int {
	n := 0
	for _, one := range v {
		if d := one.deployment; d != nil {
			n += replicasOf(d)
		}
	}
	return n
}

// holds tells whether all components are as asked, and no others are there. A
// rollout may still be on its way.
func (v views) holds(g goal) bool {
	for _, c := range g.spec.Components {
		if !v.of(c.Name).holds(g.of(c, v.of(c.Name))) {
			return false
		}
	}
	return len(v.others(g.spec)) == 0
}

// settled tells whether the current pod templates of all components were once
// wholly rolled out, so that missing instances are a trouble of now and not of
// a rollout.
func (v views) settled() bool {
	for _, one := range v {
		if one.deployment != nil && !one.settled() {
			return false
		}
	}
	return len(v) > 0
}

// others names the components that are in the cluster and not in the spec.
func (v views) others(spec agent.Spec) []string {
	var names []string
	for name, one := range v {
		if _, ok := spec.Component(name); !ok && one.deployment != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// view is what informers show of a component. Its objects are shared and never
// changed.
type view struct {
	deployment *appsv1.Deployment                     // nil: none
	autoscaler *autoscalingv2.HorizontalPodAutoscaler // nil: none
	pods       []*corev1.Pod                          // by name; stopping ones too
	events     map[string][]*corev1.Event
	taints     []string // keys of what keeps pods off nodes
}

// goal is what the cluster should be doing for an app.
type goal struct {
	release int
	spec    agent.Spec
	scale   map[string]agent.Scale // by component; missing: none
	restart string                 // restartMark; empty: never
}

// asked is what the cluster should be doing for one component.
type asked struct {
	release  int
	spec     agent.Component
	scale    agent.Scale
	replicas int // now: where they follow the load, as many as the cluster has come to
	restart  string
}

func (g goal) of(c agent.Component, v view) asked {
	scale := g.scale[c.Name]
	return asked{release: g.release, spec: c, scale: scale, replicas: v.replicas(scale), restart: g.restart}
}

// same tells whether two goals ask for the same of the same release.
func (g goal) same(other goal) bool {
	return g.release == other.release && g.restart == other.restart && maps.Equal(g.scale, other.scale)
}

// replicas is how many instances a scale asks for now: where it follows the
// load, what the cluster has come to.
func (v view) replicas(scale agent.Scale) int {
	if !scale.Auto() {
		return scale.Max
	}
	if v.deployment == nil {
		return scale.Min
	}
	return scale.Within(replicasOf(v.deployment))
}

// asked is how many instances of all components are asked for now.
func (v views) asked(g goal) int {
	n := 0
	for _, c := range g.spec.Components {
		n += v.of(c.Name).replicas(g.scale[c.Name])
	}
	return n
}

// holds tells whether the Deployment is as asked. A rollout may still be on
// its way.
func (v view) holds(a asked) bool {
	d := v.deployment
	return d != nil && releaseOf(d.Labels) == a.release && replicasOf(d) == a.replicas && v.scaledBy(a.spec, a.scale) &&
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

// settled is that of one component.
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

// replicasOf is how many instances a Deployment asks for; Kubernetes makes 1
// of none given.
func replicasOf(d *appsv1.Deployment) int {
	if d.Spec.Replicas == nil {
		return 1
	}
	return int(*d.Spec.Replicas)
}

// componentOf reads the component off labels.
func componentOf(labels map[string]string) string { return labels[agent.LabelComponent] }

// releaseOf reads the release number off labels; 0 when there is none.
func releaseOf(labels map[string]string) int {
	n, err := strconv.Atoi(labels[agent.LabelRelease])
	if err != nil {
		return 0
	}
	return n
}

func byName(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) }
