package aiops

import (
	"context"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// Parameters of the rule about certificates.
const (
	certificateWithin = 14 * 24 * time.Hour // authorities' certificates are renewed a month ahead
)

// certificates finds those that are near their end.
func (m *Manager) certificates(ctx context.Context, now time.Time) ([]finding, error) {
	if m.cfg.Domains == nil {
		return nil, nil
	}
	domains, err := m.cfg.Domains.List(ctx, "", "")
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, d := range domains {
		until := d.Certificate.ValidUntil
		if until.IsZero() || until.Sub(now) > certificateWithin {
			continue
		}
		subject := agent.Subject{Kind: agent.SubjectDomain, Name: d.Host}
		f := finding{
			detector: Certificate, severity: agent.SeverityWarning, subject: subject,
			title:    fmt.Sprintf("the certificate of %s ends on %s", d.Name, until.UTC().Format("2006-01-02")),
			summary:  fmt.Sprintf("The certificate of %s is valid for %s more and has not been renewed.", d.Name, duration(until.Sub(now))),
			evidence: []agent.Fact{{Name: "valid until", Value: clock(until)}, {Name: "from", Value: d.Certificate.Source, Why: d.Reason}},
		}
		if until.Before(now) {
			f.severity = agent.SeverityCritical
			f.title = fmt.Sprintf("the certificate of %s has ended", d.Name)
			f.summary = fmt.Sprintf("The certificate of %s ended on %s: browsers refuse it.", d.Name, clock(until))
		}
		found = append(found, f)
	}
	return found, nil
}

// Outcome is how something ended that other parts run.
type Outcome struct {
	Detector string // CronFailed, RunFailed or BackupFailed
	Subject  agent.Subject
	Failed   bool
	Title    string // of the failure
	Summary  string
	Evidence []agent.Fact
	Lines    []string // its last lines
}

// Ended takes how a cron run, a pipeline's run or a backup ended: a failure
// opens an incident, a success ends it.
func (m *Manager) Ended(ctx context.Context, o Outcome) {
	if err := m.ended(ctx, o); err != nil {
		m.cfg.Log.ErrorContext(ctx, "an outcome could not be made an incident", "subject", o.Subject.String(), "error", err)
	}
}

func (m *Manager) ended(ctx context.Context, o Outcome) error {
	f := finding{detector: o.Detector, severity: agent.SeverityCritical, subject: o.Subject, title: o.Title, summary: o.Summary, evidence: o.Evidence, lines: o.Lines}
	namespace := ""
	if w, err := m.cfg.Workspace.Current(ctx); err == nil {
		namespace = w.Name
	}
	silences, err := m.cfg.Silences.Silences(ctx)
	if err != nil {
		return err
	}
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tracks[f.fingerprint()]
	switch {
	case !o.Failed && t != nil && t.incident != nil:
		return m.resolve(ctx, now, t, "the next one succeeded", "")
	case !o.Failed:
		return nil
	case t != nil && t.incident != nil: // one more of the same
		t.finding, t.last = f, now
		i := *t.incident
		i.UpdatedAt = now
		m.describe(ctx, &i, f, namespace)
		i, err := m.put(ctx, i, []agent.IncidentNote{{At: now, Text: "it failed again"}}, nil)
		if err == nil {
			t.incident = &i
		}
		return err
	}
	t = &track{first: now, last: now, finding: f}
	m.tracks[f.fingerprint()] = t
	return m.open(ctx, now, namespace, t, silences)
}
