package daemon

import (
	"slices"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestIncidentEventsComeOnceForEachChange(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var sent []string
	passed := 0
	e := &incidentEvents{
		publish: func(string, string, any) { passed++ },
		emit:    func(e agent.FunctionEvent, _ any) { sent = append(sent, e.Type+" "+e.ID) },
		now:     func() time.Time { return now }, last: map[int64]string{},
	}
	resolved := agent.Incident{ID: 1, OpenedAt: now, ResolvedAt: now}
	for _, i := range []agent.Incident{
		{ID: 1, OpenedAt: now}, {ID: 1, OpenedAt: now, Summary: "more is known"}, resolved, resolved,
		{ID: 1, OpenedAt: now, Reopened: 1},
		{ID: 2, OpenedAt: now.Add(-time.Hour)}, // an agent before told of it
	} {
		e.Publish("incident", "x", i)
	}
	e.Publish("app", "web", agent.App{})
	want := []string{"dev.hks.incident.opened incident-1-0-opened", "dev.hks.incident.resolved incident-1-0-resolved", "dev.hks.incident.opened incident-1-1-opened"}
	if !slices.Equal(sent, want) || passed != 7 {
		t.Errorf("sent %q, passed %d on", sent, passed)
	}
}
