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

// host is the name under which a component is reached.
func (m *Manager) host(k key, c agent.Component) string {
	return cmp.Or(c.Host, agent.HostLabel(k.app, k.env)+"."+m.cfg.Domain)
}

// url is where a component answers; empty for one that is not reached from
// outside.
func (m *Manager) url(k key, c agent.Component) string {
	if c.Path == "" {
		return ""
	}
	host := m.host(k, c)
	if p := m.cfg.Port; p != 0 && (m.cfg.Scheme != "https" || p != 443) && (m.cfg.Scheme != "http" || p != 80) {
		host = net.JoinHostPort(host, strconv.Itoa(p))
	}
	path := slash(c.Path)
	if path == "/" {
		path = ""
	}
	return m.cfg.Scheme + "://" + host + path
}

// route is a host and a path of it that lead to a component.
type route struct{ host, path string }

// routes are those of a release, with the component that each leads to.
func (m *Manager) routes(k key, spec agent.Spec) map[route]string {
	routes := map[route]string{}
	for _, c := range spec.Components {
		if c.Path != "" {
			routes[route{m.host(k, c), slash(c.Path)}] = c.Name
		}
	}
	return routes
}

// wanted is what the cluster should do for an app now; ok is false for an app
// of which nothing was ever brought up.
func wanted(s store.AppState) (g goal, ok bool) {
	r := s.Current
	switch {
	case !s.Newest.Status.Done():
		r = s.Newest
	case s.Serving == 0:
		// Nothing ever served: what there is stays, without instances.
		return goal{release: s.Newest.Number, spec: s.Newest.Spec, restart: restartMark(s.RestartedAt)}, true
	}
	g = goal{release: r.Number, spec: r.Spec, restart: restartMark(s.RestartedAt)}
	if s.Desired == store.DesiredRunning {
		g.scale = scaleOf(s, r.Spec)
	}
	return g, r.Number > 0
}

// scaleOf is how many instances of each component are asked for.
func scaleOf(s store.AppState, spec agent.Spec) map[string]agent.Scale {
	scale := make(map[string]agent.Scale, len(spec.Components))
	for _, c := range spec.Components {
		scale[c.Name] = s.Replicas(c.Name)
	}
	return scale
}

// most is how many instances of all components there can be at a time.
func most(scale map[string]agent.Scale) int {
	n := 0
	for _, one := range scale {
		n += one.Max
	}
	return n
}

// appOf describes an app from its rows and what is seen of it.
func (m *Manager) appOf(s store.AppState, w *watch) agent.App {
	k := key{s.Name, s.Environment}
	shown := s.Current
	if s.Serving == 0 {
		shown = s.Newest
	}
	main := shown.Spec.Main()
	a := agent.App{
		Name: s.Name, Environment: s.Environment, URL: m.url(k, main), Release: s.Serving,
		Image: main.Image, Digest: shown.Digests[main.Name], CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		Maintenance: s.Maintenance,
	}
	if !s.Newest.Status.Done() && s.Newest.Number != s.Serving {
		a.Target = s.Newest.Number
	}
	var v views
	if w.ready() {
		v = w.view(k)
	}
	a.Ready = v.ready()
	for _, c := range shown.Spec.Components {
		one, scale := v.of(c.Name), s.Replicas(c.Name)
		usage := m.usageOf(w, one, c)
		a.Components = append(a.Components, agent.ComponentState{
			Name: c.Name, Image: c.Image, Digest: shown.Digests[c.Name], URL: m.url(k, c), Port: c.Port,
			Replicas: one.replicas(scale), Ready: one.ready(), Usage: usage, Autoscale: one.autoscale(c, scale),
		})
		a.Replicas += one.replicas(scale)
		a.Usage = add(a.Usage, usage)
	}
	a.Status, a.Reason, a.Fix = statusOf(s, v, w.ready())
	if n := m.notes.of(k); n.reason != "" && a.Status != agent.AppRunning && a.Reason == "" {
		a.Reason, a.Fix = n.reason, n.fix
	}
	return a
}

// statusOf tells an app's status and, when it does not run as it should, why.
func statusOf(s store.AppState, v views, seen bool) (status agent.AppStatus, reason, fix string) {
	var o observation
	g, ok := wanted(s)
	if seen && ok {
		o = v.observe(g)
	}
	switch {
	case s.Desired == store.DesiredDeleted:
		return agent.AppDeleting, "", ""
	case !s.Newest.Status.Done():
		return unfinishedStatus(s, o)
	case !seen:
		return agent.AppPending, "waiting for the cluster; how the app is can't be seen yet", "hks status shows what the cluster is at"
	case s.Desired == store.DesiredStopped:
		if len(v.pods()) > 0 || v.replicas() > 0 {
			return agent.AppStopping, "", ""
		}
		return agent.AppStopped, "", ""
	case s.Newest.Status == agent.ReleaseFailed && s.Newest.Failure != nil:
		return agent.AppError, failedWords(s), s.Newest.Failure.Fix
	case s.Serving == 0:
		return agent.AppError, fmt.Sprintf("release %d was cancelled before it served", s.Newest.Number), "deploy again"
	}
	return servingStatus(v, g, o)
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
func servingStatus(v views, g goal, o observation) (status agent.AppStatus, reason, fix string) {
	if o.complete {
		return agent.AppRunning, "", ""
	}
	ready := v.ready()
	words := readyWords(ready, v.asked(g))
	switch {
	case o.trouble != nil && ready == 0:
		return agent.AppError, o.trouble.message, o.trouble.fix
	case o.trouble != nil && v.holds(g) && v.settled():
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
	var list []agent.Instance
	for _, p := range v.pods() {
		release, component := releaseOf(p.Labels), componentOf(p.Labels)
		c, ok := s.Newest.Spec.Component(component)
		if was, is := s.Current.Spec.Component(component); is && (release == s.Serving || !ok) {
			c = was
		}
		l := examine(v.of(component), p, c)
		i := agent.Instance{Name: p.Name, Component: component, Release: release, Node: p.Spec.NodeName, Phase: l.phase, Usage: m.usage(w, p, c)}
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

// usageOf adds up what a component's instances take.
func (m *Manager) usageOf(w *watch, v view, c agent.Component) agent.Usage {
	var sum agent.Usage
	for _, p := range v.pods {
		sum = add(sum, m.usage(w, p, c))
	}
	return sum
}

func add(a, b agent.Usage) agent.Usage {
	a.CPU += b.CPU
	a.Memory += b.Memory
	a.CPULimit += b.CPULimit
	a.MemoryLimit += b.MemoryLimit
	if b.SampledAt.After(a.SampledAt) {
		a.SampledAt = b.SampledAt
	}
	return a
}

func (m *Manager) usage(w *watch, p *corev1.Pod, c agent.Component) agent.Usage {
	var u agent.Usage
	if m.cfg.Sampler != nil {
		u = m.cfg.Sampler.Usage(w.namespace, p.Name)
	}
	cpu := quantity(c.CPU, defaultCPU)
	u.CPULimit, u.MemoryLimit = cpu.AsApproximateFloat64(), int64(memoryLimit(c))
	return u
}
