package aiops

import (
	"context"
	"fmt"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
)

const longestSilence = 30 * 24 * time.Hour

// List returns incidents: those that go on first, then the newest; with
// pending ones, which nobody is told of yet, when asked for.
func (m *Manager) List(ctx context.Context, limit int, pending bool) ([]agent.Incident, error) {
	incidents, err := m.cfg.Incidents.Incidents(ctx, limit)
	if err != nil || !pending {
		return incidents, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var waiting []agent.Incident
	for fingerprint, t := range m.tracks {
		if t.incident == nil && !m.dismissed[fingerprint] {
			f := t.finding
			waiting = append(waiting, agent.Incident{Fingerprint: fingerprint, Detector: f.detector, Severity: f.severity, Status: agent.IncidentPending, Subject: f.subject,
				Title: short(f.title, titleMost), Summary: f.summary, Evidence: []agent.Fact{}, Remedies: []agent.Remedy{}, Since: t.first, UpdatedAt: t.last})
		}
	}
	return append(waiting, incidents...), nil
}

// Get returns one incident with its timeline.
func (m *Manager) Get(ctx context.Context, id int64) (agent.Incident, error) {
	i, ok, err := m.cfg.Incidents.Incident(ctx, id)
	if err != nil {
		return agent.Incident{}, err
	}
	if !ok {
		return agent.Incident{}, agent.Errorf(agent.CodeNotFound, "list them with: hks incidents", "there is no incident %d", id)
	}
	return i, nil
}

// change applies what the owner does to an incident that goes on.
func (m *Manager) change(ctx context.Context, id int64, with func(t *track, now time.Time) error) (agent.Incident, error) {
	i, err := m.Get(ctx, id)
	if err != nil {
		return agent.Incident{}, err
	}
	if err := m.lockedChange(ctx, i, with); err != nil {
		return agent.Incident{}, err
	}
	m.nudge()
	return m.Get(ctx, id)
}

func (m *Manager) lockedChange(_ context.Context, i agent.Incident, with func(t *track, now time.Time) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tracks[i.Fingerprint]
	if t == nil || t.incident == nil || t.incident.ID != i.ID {
		return agent.Errorf(agent.CodeConflict, "see what goes on with: hks incidents", "incident %d is over already", i.ID)
	}
	return with(t, m.cfg.Now())
}

// Ack notes that the owner knows of it: no more reminders.
func (m *Manager) Ack(ctx context.Context, id int64, by string) (agent.Incident, error) {
	return m.change(ctx, id, func(t *track, now time.Time) error {
		i := *t.incident
		i.AckedAt, i.AckedBy, i.UpdatedAt = now, by, now
		i, err := m.put(ctx, i, []agent.IncidentNote{{At: now, Text: "acknowledged", By: by}}, nil)
		if err == nil {
			t.incident = &i
		}
		return err
	})
}

// Resolve ends an incident by hand. While the trouble goes on it is not opened
// again; when it went away and comes back, it is.
func (m *Manager) Resolve(ctx context.Context, id int64, by string) (agent.Incident, error) {
	return m.change(ctx, id, func(t *track, now time.Time) error {
		fingerprint, kept := t.incident.Fingerprint, *t
		if err := m.resolve(ctx, now, t, "by hand", by); err != nil {
			return err
		}
		if !latched(kept.finding.detector) {
			kept.incident = nil
			m.tracks[fingerprint], m.dismissed[fingerprint] = &kept, true
		}
		return nil
	})
}

// Accept remembers that what an incident tells of is no trouble, such as a
// cache that is meant to grow, and ends the incident.
func (m *Manager) Accept(ctx context.Context, id int64, by string) (agent.Incident, error) {
	return m.change(ctx, id, func(t *track, now time.Time) error {
		i := t.incident
		if i.Detector != detect.MemoryLeak && i.Detector != detect.OOMLoop {
			return agent.Errorf(agent.CodeConflict, "silence it instead: hks incidents silence "+fmt.Sprint(id)+" --for 24h", "incident %d is not about growing memory", id)
		}
		if err := m.cfg.Silences.AcceptFingerprint(ctx, i.Fingerprint, by, now); err != nil {
			return err
		}
		m.engine.Accept(i.Fingerprint, m.engineTime(now))
		delete(m.alerts, i.Fingerprint)
		i.Accepted = true
		return m.resolve(ctx, now, t, "the owner says that this growth is meant", by)
	})
}

// Silence keeps reports from being sent for a while. With an incident it is
// for exactly that trouble.
func (m *Manager) Silence(ctx context.Context, s agent.Silence, incident int64, d time.Duration, by string) (agent.Silence, error) {
	if d <= 0 || d > longestSilence {
		return agent.Silence{}, agent.Errorf(agent.CodeInvalid, "give a while such as 24h, up to 30 days", "%s is no length of a silence", d)
	}
	if incident > 0 {
		i, err := m.Get(ctx, incident)
		if err != nil {
			return agent.Silence{}, err
		}
		s.Fingerprint = i.Fingerprint
	}
	if s.Fingerprint == "" && s.Subject == "" && s.Detector == "" {
		return agent.Silence{}, agent.Errorf(agent.CodeInvalid, "name an incident, or what it is about: --subject \"app web/production\", or --detector", "a silence of everything would hide all trouble")
	}
	now := m.cfg.Now()
	s.By, s.CreatedAt, s.Until = by, now, now.Add(d)
	s, err := m.cfg.Silences.AddSilence(ctx, s)
	if err != nil {
		return agent.Silence{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tracks {
		if t.incident == nil || t.incident.Quiet != "" || !s.Matches(*t.incident, now) {
			continue
		}
		i := *t.incident
		i.Quiet, i.UpdatedAt = "silenced until "+clock(s.Until), now
		if i, err = m.put(ctx, i, []agent.IncidentNote{{At: now, Text: i.Quiet, By: by}}, nil); err != nil {
			return agent.Silence{}, err
		}
		t.incident = &i
	}
	return s, nil
}

// Silences lists those that have not ended.
func (m *Manager) Silences(ctx context.Context) ([]agent.Silence, error) {
	return m.cfg.Silences.Silences(ctx)
}

// Unsilence ends a silence.
func (m *Manager) Unsilence(ctx context.Context, id int64) error {
	ok, err := m.cfg.Silences.RemoveSilence(ctx, id)
	if err == nil && !ok {
		return agent.Errorf(agent.CodeNotFound, "list them with: hks incidents silences", "there is no silence %d", id)
	}
	m.nudge()
	return err
}
