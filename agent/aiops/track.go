package aiops

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

// Parameters of how incidents open, come back and are told, with their reasons.
const (
	reopenWithin  = 30 * time.Minute // sooner it is the same trouble
	flapsTold     = 3                // more in an hour are noise
	remindFirst   = 4 * time.Hour
	remindAgain   = 24 * time.Hour
	stormWithin   = 10 * time.Minute
	stormMost     = 6                // new incidents told one by one; the rest in a digest
	digestAfter   = time.Minute      // for the rest of the storm to come
	restoredClear = 15 * time.Minute // after a start of the agent: detectors need a while to see again
	updateEach    = 5 * time.Minute  // of evidence that only moves
)

// track follows one trouble from when it is seen to its end.
type track struct {
	finding  finding
	first    time.Time       // when it began, for the hold
	last     time.Time       // when it was found last
	clear    time.Duration   // for how long it must not be found before it is over
	incident *agent.Incident // nil: not for long enough yet
	written  time.Time       // when the incident was written last
	told     time.Time       // when a report of it was written last
}

// restored is the track of an incident that goes on from before a start.
func restored(i agent.Incident, now time.Time) *track {
	return &track{first: i.Since, last: now, clear: restoredClear, incident: &i, written: now, told: i.UpdatedAt}
}

// latched are detectors of what is told once and is over when that is told
// too; nobody finds it again at each look.
func latched(detector string) bool {
	return slices.Contains([]string{CronFailed, RunFailed, BackupFailed, AddressChanged}, detector)
}

// reconcile compares what was found now with what goes on. The caller holds mu.
func (m *Manager) reconcile(ctx context.Context, now time.Time, namespace string, found []finding) error {
	silences, err := m.cfg.Silences.Silences(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range found {
		fingerprint := f.fingerprint()
		if seen[fingerprint] {
			continue // another instance of the same
		}
		seen[fingerprint] = true
		t := m.tracks[fingerprint]
		if t == nil {
			t = &track{first: now}
			if !f.since.IsZero() && f.since.Before(now) {
				t.first = f.since
			}
			m.tracks[fingerprint] = t
		}
		t.finding, t.last, t.clear = f, now, m.scaled(f.clear)
		switch {
		case m.dismissed[fingerprint]:
		case t.incident == nil && now.Sub(t.first) >= m.scaled(f.hold):
			err = m.open(ctx, now, namespace, t, silences)
		case t.incident != nil:
			err = m.goesOn(ctx, now, namespace, t, silences)
		}
		if err != nil {
			return err
		}
	}
	for fingerprint, t := range m.tracks {
		if seen[fingerprint] {
			continue
		}
		if t.incident != nil && latched(t.incident.Detector) {
			if err := m.endOfGone(ctx, now, t); err != nil {
				return err
			}
			continue
		}
		if t.incident == nil {
			delete(m.tracks, fingerprint)
			delete(m.dismissed, fingerprint)
			continue
		}
		if now.Sub(t.last) >= t.clear {
			if err := m.resolve(ctx, now, t, "it was not seen any more", ""); err != nil {
				return err
			}
		}
	}
	return m.sendDigest(ctx, now)
}

// endOfGone resolves the incident of what was deleted: no success of it will.
func (m *Manager) endOfGone(ctx context.Context, now time.Time, t *track) error {
	there, err := m.cfg.Exists(ctx, t.incident.Subject)
	if err != nil || there {
		return err
	}
	return m.resolve(ctx, now, t, t.incident.Subject.String()+" was deleted", "")
}

// open makes an incident of a track, or brings back the one that was resolved
// a moment ago.
func (m *Manager) open(ctx context.Context, now time.Time, namespace string, t *track, silences []agent.Silence) error {
	i := agent.Incident{Fingerprint: t.finding.fingerprint(), OpenedAt: now}
	last, ok, err := m.cfg.Incidents.LastIncident(ctx, i.Fingerprint)
	if err != nil {
		return err
	}
	kind, text := agent.ReportOpened, "it was found"
	if ok && now.Sub(last.ResolvedAt) < m.scaled(reopenWithin) {
		i = last
		i.Reopened++
		i.ResolvedAt, i.AckedAt, i.AckedBy = time.Time{}, time.Time{}, ""
		kind, text = agent.ReportReopened, "it came back"
		if i.Reopened == flapsTold {
			kind, text = agent.ReportFlapping, "it comes and goes; you are told no more until it stays away for half an hour"
		}
	}
	i.Status, i.UpdatedAt = agent.IncidentFiring, now
	m.describe(ctx, &i, t.finding, namespace)
	i.Quiet = m.quiet(&i, t.finding, silences, now)
	if i.Quiet == "" && i.Reopened > flapsTold {
		i.Quiet = "it comes and goes"
	}
	var reports []agent.Report
	if i.Quiet == "" && m.storming(now) {
		i.Quiet = "many came at once; it is told with the others"
		if len(m.digest) == 0 {
			m.digestAt = now.Add(m.scaled(digestAfter))
		}
		defer func() { m.digest = append(m.digest, i) }()
	} else if i.Quiet == "" {
		m.opened = append(m.opened, now)
		reports = append(reports, m.report(ctx, kind, i))
	}
	if i, err = m.put(ctx, i, []agent.IncidentNote{{At: now, Text: text}}, reports); err != nil {
		return err
	}
	t.incident, t.written, t.told = &i, now, now
	m.explainLater(i)
	m.cfg.Record(ctx, agent.Activity{Level: level(i.Severity), Subject: keyOf(i.Subject), Message: "incident " + fmt.Sprint(i.ID) + ": " + i.Title})
	return nil
}

func level(severity string) string {
	if severity == agent.SeverityCritical {
		return "error"
	}
	return "warning"
}

// put writes an incident and tells everybody.
func (m *Manager) put(ctx context.Context, i agent.Incident, notes []agent.IncidentNote, reports []agent.Report) (agent.Incident, error) {
	for n := range reports {
		if reports[n].Incident == nil && reports[n].Kind != agent.ReportDigest {
			copied := i
			reports[n].Incident = &copied
		}
	}
	i, err := m.cfg.Incidents.PutIncident(ctx, i, notes, reports)
	if err != nil {
		return i, err
	}
	m.cfg.Publish("incident", fmt.Sprint(i.ID), i)
	if len(reports) > 0 {
		m.cfg.Reported()
	}
	return i, nil
}

// quiet says why nobody is told of an incident; empty when somebody is.
func (m *Manager) quiet(i *agent.Incident, f finding, silences []agent.Silence, now time.Time) string {
	i.Cause = 0
	for _, other := range m.tracks {
		if other.incident == nil || other.incident.Fingerprint == i.Fingerprint {
			continue
		}
		o := other.incident
		switch {
		case o.Subject.Kind == agent.SubjectNode && f.subject.Kind != agent.SubjectNode && f.subject.Node == o.Subject.Name && o.Detector != DiskFull,
			explains(o.Detector, f.detector) && keyOf(o.Subject) == keyOf(f.subject):
			i.Cause = o.ID
			return fmt.Sprintf("incident %d explains it", o.ID)
		}
	}
	for _, s := range silences {
		if s.Matches(*i, now) {
			return "silenced until " + clock(s.Until)
		}
	}
	return ""
}

// explains tells whether what one detector says of a thing makes what another
// says of it old news: a leak ends in a kill.
func explains(known, found string) bool {
	switch found {
	case OOMKilled:
		return known == detect.MemoryLeak || known == detect.OOMLoop
	case detect.OOMLoop:
		return known == detect.MemoryLeak
	case detect.MemoryLeak:
		return known == detect.OOMLoop
	}
	return false
}

// storming tells whether so many incidents were told lately that the next ones
// go into a digest.
func (m *Manager) storming(now time.Time) bool {
	m.opened = slices.DeleteFunc(m.opened, func(t time.Time) bool { return now.Sub(t) >= m.scaled(stormWithin) })
	return len(m.opened) >= stormMost
}

// sendDigest tells of what a storm held back.
func (m *Manager) sendDigest(ctx context.Context, now time.Time) error {
	if len(m.digest) == 0 || now.Before(m.digestAt) {
		return nil
	}
	open := 0
	for n := range m.digest {
		if t, ok := m.tracks[m.digest[n].Fingerprint]; ok && t.incident != nil {
			m.digest[n] = *t.incident
			open++
		} else {
			m.digest[n].Status = agent.IncidentResolved
		}
	}
	r := agent.Report{Kind: agent.ReportDigest, Digest: m.digest, Link: m.cfg.Link(0),
		Text: fmt.Sprintf("%d more incidents within a few minutes, %d of them go on.", len(m.digest), open)}
	if err := m.cfg.Incidents.AddReport(ctx, r); err != nil {
		return err
	}
	m.digest, m.digestAt = nil, time.Time{}
	m.cfg.Reported()
	return nil
}

// goesOn keeps the incident of a trouble up to date: evidence now and then, a
// rise of its severity and the end of a silence at once, reminders when nobody
// has acknowledged it.
func (m *Manager) goesOn(ctx context.Context, now time.Time, namespace string, t *track, silences []agent.Silence) error {
	i := *t.incident
	var notes []agent.IncidentNote
	var reports []agent.Report
	var kind string
	quiet := i.Quiet
	if quiet != "" && i.Cause == 0 && i.Reopened <= flapsTold && len(m.digest) == 0 {
		if !slices.ContainsFunc(silences, func(s agent.Silence) bool { return s.Matches(i, now) }) && silenced(quiet) {
			kind, i.Quiet = agent.ReportOpened, ""
			notes = append(notes, agent.IncidentNote{At: now, Text: "its silence has ended"})
		}
	}
	since, waits := now.Sub(t.told), m.scaled(remindFirst)
	if now.Sub(i.OpenedAt) > m.scaled(remindFirst)+m.scaled(remindAgain)/2 {
		waits = m.scaled(remindAgain)
	}
	switch {
	case i.Severity != t.finding.severity && t.finding.severity == agent.SeverityCritical:
		kind = agent.ReportWorse
		notes = append(notes, agent.IncidentNote{At: now, Text: "it has become critical"})
	case kind == "" && since >= waits && i.AckedAt.IsZero():
		kind = agent.ReportReminder
		notes = append(notes, agent.IncidentNote{At: now, Text: "it still goes on"})
	}
	if kind == "" && now.Sub(t.written) < m.scaled(updateEach) {
		return nil
	}
	i.UpdatedAt = now
	m.describe(ctx, &i, t.finding, namespace)
	if kind != "" && i.Quiet == "" {
		reports = append(reports, m.report(ctx, kind, i))
	}
	i, err := m.put(ctx, i, notes, reports)
	if err != nil {
		return err
	}
	t.incident, t.written = &i, now
	if kind != "" {
		t.told = now
	}
	return nil
}

func silenced(quiet string) bool { return len(quiet) > 8 && quiet[:8] == "silenced" }

// resolve ends an incident. The caller holds mu.
func (m *Manager) resolve(ctx context.Context, now time.Time, t *track, why, by string) error {
	i := *t.incident
	i.Status, i.ResolvedAt, i.UpdatedAt = agent.IncidentResolved, now, now
	var reports []agent.Report
	if i.Quiet == "" {
		reports = append(reports, m.report(ctx, agent.ReportResolved, i))
	}
	if _, err := m.put(ctx, i, []agent.IncidentNote{{At: now, Text: "resolved: " + why, By: by}}, reports); err != nil {
		return err
	}
	delete(m.tracks, i.Fingerprint)
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: keyOf(i.Subject), Message: fmt.Sprintf("incident %d is over: %s", i.ID, i.Title), By: by})
	return nil
}
