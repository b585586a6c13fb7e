package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

// System returns the state of the appliance's parts.
func (c *Client) System(ctx context.Context) (agent.System, error) {
	var s agent.System
	err := c.call(ctx, http.MethodGet, "/api/system", nil, &s)
	return s, err
}

// Activity returns what happened last, the newest first.
func (c *Client) Activity(ctx context.Context, limit int) ([]agent.Activity, error) {
	var list []agent.Activity
	err := c.call(ctx, http.MethodGet, "/api/activity?limit="+strconv.Itoa(limit), nil, &list)
	return list, err
}

// Event is an agent.Event whose object is not decoded yet: its kind says as what.
type Event struct {
	ID      int64           `json:"id"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Subject string          `json:"subject"`
	Object  json.RawMessage `json:"object"`
}

// KindReset is the kind of the event that says that events were missed:
// whoever keeps a copy of anything must read it anew.
const KindReset = "reset"

// Events yields changes as they happen, over broken connections too, without
// loss: the appliance is told the last event that came.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for f, err := range c.follow(ctx, func() string { return "/api/events" }) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			if f.event == KindReset {
				if !yield(Event{Kind: KindReset}, nil) {
					return
				}
				continue
			}
			e, err := unmarshal[Event](f)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
