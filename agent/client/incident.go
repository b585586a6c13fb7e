package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"hks.dev/hks/agent"
)

func incidentPath(id int64, rest string) string { return fmt.Sprintf("/api/incidents/%d%s", id, rest) }

// Incidents lists incidents: those that go on first, then the newest; with
// those that nobody was told of yet, when pending ones are asked for.
func (c *Client) Incidents(ctx context.Context, limit int, pending bool) ([]agent.Incident, error) {
	var incidents []agent.Incident
	return incidents, c.call(ctx, http.MethodGet, fmt.Sprintf("/api/incidents?limit=%d&pending=%t", limit, pending), nil, &incidents)
}

// Incident returns one incident with its timeline.
func (c *Client) Incident(ctx context.Context, id int64) (agent.Incident, error) {
	var incident agent.Incident
	return incident, c.call(ctx, http.MethodGet, incidentPath(id, ""), nil, &incident)
}

// AckIncident notes that the owner knows of an incident: no more reminders.
func (c *Client) AckIncident(ctx context.Context, id int64) (agent.Incident, error) {
	var incident agent.Incident
	return incident, c.call(ctx, http.MethodPost, incidentPath(id, "/ack"), nil, &incident)
}

// ResolveIncident ends an incident by hand.
func (c *Client) ResolveIncident(ctx context.Context, id int64) (agent.Incident, error) {
	var incident agent.Incident
	return incident, c.call(ctx, http.MethodPost, incidentPath(id, "/resolve"), nil, &incident)
}

// AcceptIncident says that the growth of memory that an incident tells of is
// meant. It is remembered.
func (c *Client) AcceptIncident(ctx context.Context, id int64) (agent.Incident, error) {
	var incident agent.Incident
	return incident, c.call(ctx, http.MethodPost, incidentPath(id, "/accept"), nil, &incident)
}

// NewSilence is what to be silent about: an incident, or a subject, a
// detector or both.
type NewSilence struct {
	Incident int64         `json:"incident,omitempty"`
	Subject  string        `json:"subject,omitempty"` // such as "app web/production"
	Detector string        `json:"detector,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	For      time.Duration `json:"for"` // nanoseconds
}

// Silence keeps reports from being sent for a while.
func (c *Client) Silence(ctx context.Context, s NewSilence) (agent.Silence, error) {
	var silence agent.Silence
	return silence, c.call(ctx, http.MethodPost, "/api/silences", s, &silence)
}

// Silences lists the silences that have not ended.
func (c *Client) Silences(ctx context.Context) ([]agent.Silence, error) {
	var silences []agent.Silence
	return silences, c.call(ctx, http.MethodGet, "/api/silences", nil, &silences)
}

// Unsilence ends a silence.
func (c *Client) Unsilence(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodDelete, fmt.Sprintf("/api/silences/%d", id), nil, nil)
}

// Attention lists all that waits for the owner, the worst first.
func (c *Client) Attention(ctx context.Context) ([]agent.Attention, error) {
	var list []agent.Attention
	return list, c.call(ctx, http.MethodGet, "/api/attention", nil, &list)
}

// Series returns the figures of an app, a service, a function or a node over
// a while, up to 30 days. Only an app has an environment.
func (c *Client) Series(ctx context.Context, kind, name string, env agent.Environment, since time.Duration) ([]agent.Series, error) {
	query := url.Values{"kind": {kind}, "name": {name}, "since": {since.String()}}
	if env != "" {
		query.Set("environment", string(env))
	}
	var series []agent.Series
	return series, c.call(ctx, http.MethodGet, "/api/series?"+query.Encode(), nil, &series)
}
