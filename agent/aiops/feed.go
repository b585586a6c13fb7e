package aiops

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

// engineTime is a moment on the assistant's own clock, in Unix seconds: real
// time, unless the clock was made faster to try it out.
func (m *Manager) engineTime(at time.Time) int64 {
	return m.began.Unix() + int64(at.Sub(m.began).Seconds()*m.cfg.Speed)
}

// realTime is the opposite of engineTime.
func (m *Manager) realTime(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return m.began.Add(time.Duration(float64(t-m.began.Unix()) / m.cfg.Speed * float64(time.Second)))
}

// Observe takes one sample of everything: the sampler calls it.
func (m *Manager) Observe(ctx context.Context, at time.Time, f Figures) {
	m.cfg.Recorder.Figures(ctx, at, f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(f.Volumes) == 0 { // not measured this time
		f.Volumes = m.figures.Volumes
		for i, n := range f.Nodes {
			if j := slices.IndexFunc(m.figures.Nodes, func(o NodeFigures) bool { return o.Name == n.Name }); j >= 0 && n.DiskCapacity == 0 {
				f.Nodes[i].DiskUsed, f.Nodes[i].DiskCapacity = m.figures.Nodes[j].DiskUsed, m.figures.Nodes[j].DiskCapacity
			}
		}
	} else {
		for _, v := range f.Volumes {
			key := m.subject(v.Subject)
			m.engine.Volume(detect.Volume{T: m.engineTime(at), Volume: v.Claim, App: key, Used: v.Used, Capacity: v.Capacity})
		}
	}
	m.figures = f
	if !m.fed {
		return // the history comes first
	}
	for _, p := range f.Pods {
		if p.Subject.Name == "" {
			continue
		}
		key := m.subject(p.Subject)
		for _, c := range p.Containers {
			m.engine.Sample(detect.Sample{T: m.engineTime(at), App: key, Pod: p.Pod, Container: c.Name, RSS: c.RSS, WorkingSet: c.WorkingSet, Limit: c.Limit, CPU: c.CPU, Restarts: c.Restarts})
		}
	}
	m.advance(at)
	m.nudge()
}

// VolumeFullIn forecasts when a claim's volume is full; not ok where it does
// not fill steadily, or too little of it was seen since the agent's start.
func (m *Manager) VolumeFullIn(claim string) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.figures.Volumes, func(v VolumeFigures) bool { return v.Claim == claim })
	if at < 0 {
		return 0, false
	}
	seconds, ok := m.engine.VolumeFullIn(keyOf(m.figures.Volumes[at].Subject), claim)
	return time.Duration(float64(seconds) / m.cfg.Speed * float64(time.Second)), ok
}

// subject remembers what a key of the engine is. The caller holds mu.
func (m *Manager) subject(s agent.Subject) string {
	key := keyOf(s)
	s.Pod, s.Container, s.Node = "", "", ""
	m.subjects[key] = s
	return key
}

// advance has the engine judge and keeps what fires. The caller holds mu.
func (m *Manager) advance(at time.Time) {
	for _, a := range m.engine.Advance(m.engineTime(at)) {
		switch a.State {
		case detect.Firing:
			m.alerts[a.Fingerprint] = a
		case detect.Resolved:
			delete(m.alerts, a.Fingerprint)
		case detect.Pending:
		}
	}
}

// feedHistory gives the engine what was written down before the agent was
// started, once. The caller holds mu.
func (m *Manager) feedHistory(ctx context.Context, now time.Time, s snapshot) error {
	if m.fed {
		return nil
	}
	m.fed = true
	defer func() {
		for _, a := range m.accepted {
			m.engine.Accept(a.Fingerprint, m.engineTime(a.At))
			delete(m.alerts, a.Fingerprint)
		}
	}()
	if m.cfg.Speed != 1 {
		return nil // what was written was written by another clock
	}
	history, err := m.cfg.Recorder.History(ctx, now, historyFor)
	if err != nil {
		return err
	}
	limits := map[string]int64{}
	for _, p := range s.pods {
		key := m.subject(subjectOf(p))
		for _, c := range p.Spec.Containers {
			limits[key+"|"+c.Name] = c.Resources.Limits.Memory().Value()
		}
	}
	var samples []detect.Sample
	for name, points := range history {
		key, _, of, _ := parseSeriesName(name)
		pod, container, _ := strings.Cut(of, "/")
		for _, p := range points {
			samples = append(samples, detect.Sample{T: p.Time.Unix(), App: key, Pod: pod, Container: container, RSS: int64(p.Min), WorkingSet: int64(p.Min), Limit: limits[key+"|"+container]})
		}
	}
	slices.SortFunc(samples, func(a, b detect.Sample) int { return int(a.T - b.T) })
	at := int64(0)
	for _, sample := range samples {
		if sample.T-at >= 300 {
			at = sample.T
			m.advance(time.Unix(at, 0))
		}
		m.engine.Sample(sample)
	}
	return nil
}

// feedEvents tells the engine of releases that begin and of what the kernel
// ended. The caller holds mu.
func (m *Manager) feedEvents(s *snapshot) {
	at := m.engineTime(s.now)
	for key, a := range s.apps {
		if a.Target != 0 && m.targets[key] != a.Target {
			m.engine.Event(detect.Event{T: at, Event: detect.EventDeploy, App: key})
		}
		m.targets[key] = a.Target
	}
	for key := range m.targets {
		if _, ok := s.apps[key]; !ok {
			m.engine.Forget(key)
			delete(m.targets, key)
			for fingerprint, a := range m.alerts {
				if a.App == key {
					delete(m.alerts, fingerprint)
				}
			}
		}
	}
	known := m.killed
	m.killed, m.restarts = map[string]bool{}, map[string]time.Time{} // of the pods that there are
	for _, p := range s.pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.RestartCount > 0 && c.State.Running != nil {
				m.restarts[p.Name+"/"+c.Name] = c.State.Running.StartedAt.Time
			}
			end := lastEnd(c)
			if end == nil || end.Reason != "OOMKilled" || !end.FinishedAt.After(m.began) {
				continue
			}
			id := p.Name + "/" + c.Name + "@" + end.FinishedAt.String()
			m.killed[id] = true
			if known[id] {
				continue
			}
			m.engine.Event(detect.Event{T: m.engineTime(end.FinishedAt.Time), Event: detect.EventOOMKilled, App: keyOf(subjectOf(p)), Pod: p.Name, Container: c.Name})
		}
	}
}

// judged makes findings of what fires in the engine. The caller holds mu.
func (m *Manager) judged(s *snapshot) []finding {
	var found []finding
	for _, a := range m.alerts {
		subject, ok := m.subjects[a.App]
		if !ok {
			continue
		}
		workload := strings.Split(a.Fingerprint, "|")
		subject.Container = a.Container
		f := finding{
			detector: a.Detector, severity: a.Severity, subject: subject, workload: workload[1], since: m.realTime(a.Since),
			ruledOut: a.RuledOut, confident: a.Confidence, limit: time.Duration(a.TimeToLimit) * time.Second, look: 24 * time.Hour,
		}
		for _, e := range a.Evidence {
			e.Value = redact(e.Value) // it may be a line of a log
			f.evidence = append(f.evidence, agent.Fact(e))
		}
		switch a.Detector {
		case detect.MemoryLeak, detect.OOMLoop:
			f.subject.Pod, f.logs = a.Pod, a.Pod
			for _, p := range s.pods {
				if p.Name == a.Pod {
					f.memory, f.subject.Node = limitOf(p, a.Container), p.Spec.NodeName
				}
			}
		case detect.Latency, detect.ErrorRate:
			if m := s.apps[keyOf(subject)].Maintenance; s.deploying(subject) || m != nil && m.On {
				continue // what a change does for a moment, or a maintenance page, is no incident
			}
		}
		f.title, f.summary = alertWords(a, subject, f)
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.fingerprint(), b.fingerprint()) })
	return found
}

// alertWords says in plain words what an alert is about.
func alertWords(a detect.Alert, s agent.Subject, f finding) (title, summary string) {
	soon := ""
	if f.limit > 0 {
		soon = fmt.Sprintf(" At this rate it meets its limit in %s.", duration(f.limit))
	}
	switch a.Detector {
	case detect.MemoryLeak:
		return fmt.Sprintf("%s leaks memory", s), fmt.Sprintf("The memory of %s grows steadily and is not given back.%s", s, soon)
	case detect.OOMLoop:
		return fmt.Sprintf("%s fills its memory again and again", s), fmt.Sprintf("%s grows until the kernel ends it, and begins anew.", s)
	case detect.VolumeFull:
		return fmt.Sprintf("the volume %s of %s is filling up", a.Pod, s), fmt.Sprintf("The volume %s of %s is filling up.%s", a.Pod, s, strings.Replace(soon, "meets its limit", "is full", 1))
	case detect.Latency:
		return fmt.Sprintf("%s answers slowly", s), fmt.Sprintf("%s answers much more slowly than it used to.", s)
	case detect.ErrorRate:
		return fmt.Sprintf("%s answers with errors", s), fmt.Sprintf("%s answers too many requests with an error of its own.", s)
	case detect.LogNovelty:
		return fmt.Sprintf("%s prints an error that is new", s), fmt.Sprintf("%s prints an error again and again that it did not print before.", s)
	}
	return fmt.Sprintf("%s behaves unlike before", s), fmt.Sprintf("A figure of %s is unlike what it was before.", s)
}

// countRequests reads the gateway's counters each minute until ctx ends.
func (m *Manager) countRequests(ctx context.Context) {
	if m.cfg.Gateway == nil {
		return
	}
	tick := time.NewTicker(max(m.scaled(requestsEach), time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		text, err := m.cfg.Gateway.Metrics(ctx)
		if err != nil {
			continue // the gateway's health is shown elsewhere
		}
		m.mu.Lock()
		w := m.watcher
		m.mu.Unlock()
		requests, err := m.counter.look(text, w.subjectOfService)
		if err != nil {
			m.cfg.Log.WarnContext(ctx, "requests could not be counted", "error", err)
			continue
		}
		now := m.cfg.Now()
		m.cfg.Recorder.Requests(ctx, now, requests)
		m.mu.Lock()
		for _, r := range requests {
			m.engine.Requests(detect.Requests{T: m.engineTime(now), Route: r.Route, App: m.subject(r.Subject), Count: r.Count, Errors: r.Errors, P95: r.P95})
		}
		m.mu.Unlock()
	}
}
