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

const (
	logLines  = 15
	chartOf   = 24 * time.Hour
	titleMost = 150 // bytes, the limit of a header in Slack
	usualLook = time.Hour
	explainIn = 20 * time.Second
)

// describe fills an incident from what its detector says now: evidence, the
// change just before, remedies, last lines.
func (m *Manager) describe(ctx context.Context, i *agent.Incident, f finding, namespace string) {
	i.Detector, i.Severity, i.Subject = f.detector, f.severity, f.subject
	i.Title, i.Summary = short(f.title, titleMost), f.summary
	i.Evidence, i.RuledOut, i.Confidence, i.TimeToLimit = f.evidence, f.ruledOut, f.confident, f.limit
	if i.Evidence == nil {
		i.Evidence = []agent.Fact{}
	}
	if i.Since.IsZero() {
		i.Since = f.since
		if f.since.IsZero() || f.since.After(i.OpenedAt) {
			i.Since = i.OpenedAt
		}
	}
	if i.Change == nil {
		i.Change = m.changeBefore(ctx, f, i.Since)
	}
	if i.Change != nil {
		i.Evidence = append(slices.Clone(i.Evidence), agent.Fact{
			Name: "changed before", Value: fmt.Sprintf("release %d, %s by %s", i.Change.Release, i.Change.Why, i.Change.By),
			Why: "it began to serve " + beforeText(i.Since.Sub(i.Change.At)),
		})
	}
	i.Remedies = remedies(f, i.Change, namespace)
	if i.Remedies == nil {
		i.Remedies = []agent.Remedy{}
	}
	switch {
	case len(f.lines) > 0:
		i.Logs = redactAll(f.lines[max(len(f.lines)-logLines, 0):])
	case f.logs != "" && f.subject.Kind == agent.SubjectApp:
		if lines := m.cfg.Apps.Tail(ctx, f.subject.Name, f.subject.Environment, f.logs, f.previous, logLines); len(lines) > 0 {
			i.Logs = redactAll(lines)
		}
	}
}

func beforeText(d time.Duration) string {
	if d < time.Minute {
		return "at that very time"
	}
	return duration(d) + " before"
}

// changeBefore finds the release that was the last to begin before a trouble.
func (m *Manager) changeBefore(ctx context.Context, f finding, since time.Time) *agent.CauseChange {
	if f.subject.Kind != agent.SubjectApp || f.detector == ReleaseFailed {
		return nil
	}
	releases, err := m.cfg.Apps.Releases(ctx, f.subject.Name, f.subject.Environment)
	if err != nil {
		return nil // the app may be gone by now
	}
	look := f.look
	if look == 0 {
		look = usualLook
	}
	// A trouble shows a while after it has begun: what came just after its
	// first sign may be its cause too.
	slack := max(m.scaled(2*time.Minute), time.Second)
	var served []agent.Release // that were in use, the newest first
	for _, r := range releases {
		if r.Status == agent.ReleaseSucceeded && !r.CreatedAt.After(since.Add(slack)) {
			served = append(served, r)
		}
	}
	if len(served) == 0 || since.Sub(served[0].FinishedAt) > look {
		return nil
	}
	change := &agent.CauseChange{Release: served[0].Number, Why: served[0].Kind, By: served[0].By, At: served[0].CreatedAt}
	if len(served) > 1 {
		change.Before = served[1].Number
	}
	return change
}

// report makes what channels are told.
func (m *Manager) report(ctx context.Context, kind string, i agent.Incident) agent.Report {
	r := agent.Report{Kind: kind, Text: i.Summary, Link: m.cfg.Link(i.ID)}
	switch kind {
	case agent.ReportResolved:
		r.Text = fmt.Sprintf("Resolved after %s: %s.", duration(i.ResolvedAt.Sub(i.OpenedAt)), i.Title)
	case agent.ReportReminder:
		r.Text = fmt.Sprintf("Still going on after %s: %s", duration(i.UpdatedAt.Sub(i.OpenedAt)), i.Summary)
	case agent.ReportReopened:
		r.Text = "Again: " + i.Summary
	case agent.ReportFlapping:
		r.Text = fmt.Sprintf("It comes and goes: %s. No more of it until it stays away for half an hour.", i.Title)
	case agent.ReportWorse:
		r.Text = "Now critical: " + i.Summary
	}
	if kind != agent.ReportResolved {
		if len(i.Remedies) > 0 && i.Remedies[0].Command != "" {
			r.Text += " Try: " + i.Remedies[0].Command
		}
		r.Chart = m.chart(ctx, i)
	}
	return r
}

// chart draws what the trouble is about over the last day; nil: there is
// nothing to draw.
func (m *Manager) chart(ctx context.Context, i agent.Incident) *agent.Chart {
	key, now := keyOf(i.Subject), m.cfg.Now()
	c := &agent.Chart{Title: i.Title}
	var what, of string
	switch i.Detector {
	case detect.MemoryLeak, detect.OOMLoop, OOMKilled:
		what, of, c.Unit = seriesRSS, i.Subject.Pod+"/"+i.Subject.Container, "bytes"
		for _, p := range m.figures.Pods {
			for _, container := range p.Containers {
				if p.Pod == i.Subject.Pod && container.Name == i.Subject.Container {
					c.Limit = float64(container.Limit)
				}
			}
		}
	case detect.VolumeFull:
		what, c.Unit = seriesUsed, "bytes"
		if parts := strings.Split(i.Fingerprint, "|"); len(parts) > 1 {
			of = parts[1]
		}
	case detect.Latency:
		what, c.Unit = seriesP95, "ms"
	case detect.ErrorRate:
		what, c.Unit = seriesErrors, "per minute"
	case DiskFull:
		what, c.Unit = seriesUsed, "bytes"
	default:
		return nil
	}
	points, err := m.cfg.Recorder.One(ctx, key, what, of, now, chartOf)
	if err != nil || len(points) < 2 {
		return nil
	}
	c.Points = points
	if i.Change != nil {
		c.Marks = append(c.Marks, agent.ChartMark{At: i.Change.At, Text: fmt.Sprintf("release %d", i.Change.Release)})
	}
	if at, ok := m.restarts[i.Subject.Pod+"/"+i.Subject.Container]; ok {
		c.Marks = append(c.Marks, agent.ChartMark{At: at, Text: "restart"})
	}
	return c
}

// explainLater asks the language model in the background, once: what it says
// comes into the incident and its message when it comes, and nobody waits for
// it.
func (m *Manager) explainLater(i agent.Incident) {
	if m.cfg.Explainer == nil || i.Explanation != "" {
		return
	}
	m.crew.Go(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, explainIn)
		defer cancel()
		text, err := m.cfg.Explainer.Explain(ctx, i)
		if err != nil {
			m.cfg.Log.InfoContext(ctx, "an incident could not be explained", "incident", i.ID, "error", err)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if t := m.tracks[i.Fingerprint]; t != nil && t.incident != nil && t.incident.ID == i.ID {
			changed := *t.incident
			changed.Explanation = text
			var reports []agent.Report
			if changed.Quiet == "" {
				reports = append(reports, m.report(ctx, agent.ReportExplained, changed))
			}
			if changed, err = m.put(ctx, changed, nil, reports); err == nil {
				t.incident = &changed
			}
		}
	})
}
