package client

import (
	"context"
	"net/http"

	"hks.dev/hks/agent"
)

// Workspace returns the workspace with its quota.
func (c *Client) Workspace(ctx context.Context) (agent.Workspace, error) {
	return c.workspace(ctx, http.MethodGet, nil)
}

// CreateWorkspace begins to make the workspace, or tries again after a failure.
func (c *Client) CreateWorkspace(ctx context.Context, name string) (agent.Workspace, error) {
	return c.workspace(ctx, http.MethodPost, &named{name})
}

// RenameWorkspace begins to rename it; refused once something is deployed.
func (c *Client) RenameWorkspace(ctx context.Context, name string) (agent.Workspace, error) {
	return c.workspace(ctx, http.MethodPatch, &named{name})
}

// Kubeconfig returns a kubeconfig file for the workspace's namespace.
func (c *Client) Kubeconfig(ctx context.Context) ([]byte, error) {
	var data []byte
	err := c.call(ctx, http.MethodGet, "/api/workspace/kubeconfig", nil, &data)
	return data, err
}

type named struct {
	Name string `json:"name"`
}

func (c *Client) workspace(ctx context.Context, method string, in *named) (agent.Workspace, error) {
	var w agent.Workspace
	var body any
	if in != nil {
		body = in
	}
	err := c.call(ctx, method, "/api/workspace", body, &w)
	return w, err
}
