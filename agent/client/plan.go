package client

import (
	"context"
	"net/http"

	"hks.dev/hks/agent"
)

// Plan tells the plan in force and what is used of it.
func (c *Client) Plan(ctx context.Context) (agent.PlanState, error) {
	var state agent.PlanState
	return state, c.call(ctx, http.MethodGet, "/api/plan", nil, &state)
}

// ChangePlan puts another plan in force.
func (c *Client) ChangePlan(ctx context.Context, plan string) (agent.PlanState, error) {
	var state agent.PlanState
	return state, c.call(ctx, http.MethodPost, "/api/plan", map[string]string{"plan": plan}, &state)
}
