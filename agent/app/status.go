package app

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// host is the name under which a release is reached.
func (m *Manager) host(k key, spec agent.Spec) string {
	return cmp.Or(spec.Host, agent.HostLabel(k.app, k.env)+"."+m.cfg.Domain)
}

// url is where a release answers.
func (m *Manager) url(k key, spec agent.Spec) string {
	host := m.host(k, spec)
	if p := m.cfg.Port; p != 0 && (m.cfg.Scheme != "https" || p != 443) && (m.cfg.Scheme != "http" || p != 80) {
		host = net.JoinHostPort(host, strconv.Itoa(p))
	}
	path := slash(spec.Path)
	if path == "/" {
		path = ""
	}
	return m.cfg.Scheme + "://" + host + path
}

// wanted is what the cluster should do for an app now; ok is false for an app
// of which nothing was ever brought up.
func wanted(s store.AppState) (a asked, ok bool) {
	r := s.Current
	switch {
	case !s.Newest.Status.Done():
		r = s.Newest
	case s.Serving == 0:
		// Nothing ever served: what there is stays, without instances.
		return asked{release: s.Newest.Number, spec: s.Newest.Spec, restart: restartMark(s.RestartedAt)}, true
	}
	a = asked{release: r.Number, spec: r.Spec, replicas: s.Replicas, restart: restartMark(s.RestartedAt)}
	if s.Desired != store.DesiredRunning {
		a.replicas = 0
	}
	return a, r.Number > 0
}

// appOf describes an app from its rows and what is seen of it.
func (m *Manager) appOf(s store.AppState, w *watch) agent.App {
	k := key{s.Name, s.Environment}
	shown := s.Current
	if s.Serving == 0 {
		shown = s.Newest
	}
	a := agent.App{
		Name: s.Name, Environment: s.Environment, URL: m.url(k, shown.Spec), Release: s.Serving,
		Image: shown.Spec.Image, Digest: shown.Digest, Replicas: s.Replicas, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if !s.Newest.Status.Done() && s.Newest.Number != s.Serving {
		a.Target = s.Newest.Number
	}
	var v view
	if w.ready() {
		v = w.view(k)
	}
	a.Ready = v.ready()
	a.Usage = m.usageOf(w, v, shown.Spec)
	a.Status, a.Reason, a.Fix = statusOf(s, v, w.ready())
	if n := m.notes.of(k); n.reason != "" && a.Status != agent.AppRunning && a.Reason == "" {
		a.Reason, a.Fix = n.reason, n.fix
	}
	return a
}

// statusOf tells an app's status and, when it does not run as it should, why.
func statusOf(s store.AppState, v view, seen bool) (status agent.AppStatus, reason, fix string) {
	var o observation
	a, ok := wanted(s)
	if seen && ok {
		o = derive(v, a)
	}
	switch {
	case s.Desired == store.DesiredDeleted:
		return agent.AppDeleting, "", ""
	case !s.Newest.Status.Done():
		return unfinishedStatus(s, o)
	case !seen:
		return agent.AppPending, "waiting for the cluster; how the app is can't be seen yet", "hks status shows what the cluster is at"
	case s.Desired == store.DesiredStopped:
		if v.deployment != nil && (len(v.pods) > 0 || v.deployment.Spec.Replicas == nil || *v.deployment.Spec.Replicas > 0) {
			return agent.AppStopping, "", ""
		}
		return agent.AppStopped, "", ""
	case s.Newest.Status == agent.ReleaseFailed && s.Newest.Failure != nil:
		return agent.AppError, failedWords(s), s.Newest.Failure.Fix
	case s.Serving == 0:
		return agent.AppError, fmt.Sprintf("release %d was cancelled before it served", s.Newest.Number), "deploy again"
	}
	return servingStatus(s, v, a, o)
}

func failedWords(s store.AppState) string {
	words := fmt.Sprintf("release %d failed: %s", s.Newest.Number, s.Newest.Failure.Message)
	if s.Serving > 0 {
		words += fmt.Sprintf(" (release %d serves)", s.Serving)
	}
	return words
}

// unfinishedStatus is that of an app with a release on its way.
func unfinishedStatus(s store.AppState, o observation) (status agent.AppStatus, reason, fix string) {
	status = agent.AppDeploying
	if s.Serving > 0 {
		status = agent.AppUpdating
	}
	switch {
	case o.trouble != nil:
		return status, o.trouble.message, o.trouble.fix
	case o.waiting != nil:
		return agent.AppPending, o.waiting.message, o.waiting.fix
	}
	return status, "", ""
}

// servingStatus is that of an app whose newest release serves.
func servingStatus(s store.AppState, v view, a asked, o observation) (status agent.AppStatus, reason, fix string) {
	if o.complete {
		return agent.AppRunning, "", ""
	}
	ready := v.ready()
	words := readyWords(ready, s.Replicas)
	switch {
	case o.trouble != nil && ready == 0:
		return agent.AppError, o.trouble.message, o.trouble.fix
	case o.trouble != nil && v.holds(a) && v.settled():
		return agent.AppRunning, words + ": " + o.trouble.message, o.trouble.fix
	case o.trouble != nil:
		return agent.AppUpdating, o.trouble.message, o.trouble.fix
	case o.waiting != nil && ready == 0:
		return agent.AppPending, o.waiting.message, o.waiting.fix
	case o.waiting != nil:
		return agent.AppUpdating, words + ": " + o.waiting.message, o.waiting.fix
	}
	return agent.AppUpdating, words, ""
}

// instancesOf describes the pods of an app.
func (m *Manager) instancesOf(s store.AppState, w *watch) []agent.Instance {
	if !w.ready() {
		return nil
	}
	v := w.view(key{s.Name, s.Environment})
	list := make([]agent.Instance, 0, len(v.pods))
	for _, p := range v.pods {
		release := releaseOf(p.Labels)
		spec := s.Newest.Spec
		if release == s.Serving {
			spec = s.Current.Spec
		}
		l := examine(v, p, spec)
		i := agent.Instance{Name: p.Name, Release: release, Node: p.Spec.NodeName, Phase: l.phase, Usage: m.usage(w, p, spec)}
		if l.phase != "ready" {
			i.Reason = l.message
		}
		if status := containerStatus(p); status != nil {
			i.Restarts = int(status.RestartCount)
			if status.State.Running != nil {
				i.StartedAt = status.State.Running.StartedAt.Time
			}
		}
		list = append(list, i)
	}
	return list
}

// usageOf adds up what an app's instances take.
func (m *Manager) usageOf(w *watch, v view, spec agent.Spec) agent.Usage {
	var sum agent.Usage
	for _, p := range v.pods {
		u := m.usage(w, p, spec)
		sum.CPU += u.CPU
		sum.Memory += u.Memory
		sum.CPULimit += u.CPULimit
		sum.MemoryLimit += u.MemoryLimit
		if u.SampledAt.After(sum.SampledAt) {
			sum.SampledAt = u.SampledAt
		}
	}
	return sum
}

func (m *Manager) usage(w *watch, p *corev1.Pod, spec agent.Spec) agent.Usage {
	var u agent.Usage
	if m.cfg.Sampler != nil {
		u = m.cfg.Sampler.Usage(w.namespace, p.Name)
	}
	cpu := quantity(spec.CPU, defaultCPU)
	u.CPULimit, u.MemoryLimit = cpu.AsApproximateFloat64(), int64(memoryLimit(spec))
	return u
}
