package aiops

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// Attention lists all that waits for the owner: incidents that go on, channels
// that take nothing, domains without a certificate.
func (m *Manager) Attention(ctx context.Context, channels []agent.Channel) ([]agent.Attention, error) {
	open, err := m.cfg.Incidents.OpenIncidents(ctx)
	if err != nil {
		return nil, err
	}
	list := []agent.Attention{}
	for _, i := range open {
		if i.Cause != 0 {
			continue // its cause is in the list
		}
		a := agent.Attention{Severity: i.Severity, Subject: i.Subject.String(), Text: i.Title, Incident: i.ID, Since: i.Since, Fix: fmt.Sprintf("hks incidents show %d", i.ID)}
		if len(i.Remedies) > 0 && i.Remedies[0].Command != "" {
			a.Fix = i.Remedies[0].Command
		}
		list = append(list, a)
	}
	for _, c := range channels {
		if c.Failure != "" {
			list = append(list, agent.Attention{Severity: agent.SeverityWarning, Subject: "channel " + c.Name, Since: c.LastSent,
				Text: fmt.Sprintf("reports do not arrive (%d wait): %s", c.Waiting, c.Failure), Fix: "hks notify test " + c.Name})
		}
	}
	if m.cfg.Domains != nil {
		domains, err := m.cfg.Domains.List(ctx, "", "")
		if err != nil {
			return nil, err
		}
		for _, d := range domains {
			if d.Reason != "" && d.Status != agent.DomainValid {
				list = append(list, agent.Attention{Severity: agent.SeverityWarning, Subject: "domain " + d.Host, Text: d.Reason, Fix: "hks domains show " + d.Host, Since: d.CreatedAt})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b agent.Attention) int {
		return strings.Compare(a.Severity, b.Severity) // critical comes before warning
	})
	return list, nil
}

// Series returns what is kept of one thing.
func (m *Manager) Series(ctx context.Context, s agent.Subject, since time.Duration) ([]agent.Series, error) {
	all, err := m.cfg.Recorder.Series(ctx, keyOf(s), m.cfg.Now(), since)
	if all == nil {
		all = []agent.Series{}
	}
	return all, err
}
