package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"hks.dev/hks/agent"
)

// Nodes lists the machines of the cluster.
func (c *Client) Nodes(ctx context.Context) ([]agent.Node, error) {
	var nodes []agent.Node
	return nodes, c.call(ctx, http.MethodGet, "/api/nodes", nil, &nodes)
}

// Node returns one machine of the cluster.
func (c *Client) Node(ctx context.Context, name string) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodGet, nodePath(name, ""), nil, &node)
}

// InviteNode makes an invitation for one machine.
func (c *Client) InviteNode(ctx context.Context, name string) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodPost, "/api/nodes", map[string]string{"name": name}, &node)
}

// DrainNode begins to move the workloads off a node.
func (c *Client) DrainNode(ctx context.Context, name string) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodPost, nodePath(name, "/drain"), nil, &node)
}

// ResumeNode lets workloads come to a drained node again.
func (c *Client) ResumeNode(ctx context.Context, name string) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodPost, nodePath(name, "/resume"), nil, &node)
}

// RemoveNode drains a node and takes it out of the cluster.
func (c *Client) RemoveNode(ctx context.Context, name string) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodDelete, nodePath(name, ""), nil, &node)
}

func nodePath(name, rest string) string { return "/api/nodes/" + url.PathEscape(name) + rest }

// BeginJoin uses the invitation that is the client's token.
func (c *Client) BeginJoin(ctx context.Context, request agent.JoinRequest) (agent.JoinPlan, error) {
	var plan agent.JoinPlan
	return plan, c.callWithin(ctx, slowTimeout, http.MethodPost, "/api/join", request, &plan)
}

// ReportJoin tells a step of a join.
func (c *Client) ReportJoin(ctx context.Context, step agent.NodeStep) error {
	return c.call(ctx, http.MethodPost, "/api/join/steps", step, nil)
}

// JoinProgress tells how the node that joins is seen by the appliance.
func (c *Client) JoinProgress(ctx context.Context) (agent.Node, error) {
	var node agent.Node
	return node, c.call(ctx, http.MethodGet, "/api/join", nil, &node)
}

// joinFileTimeout bounds the fetch of one file, which may be hundreds of megabytes.
const joinFileTimeout = 15 * time.Minute

// JoinFile writes a file for machines that join to a writer.
func (c *Client) JoinFile(ctx context.Context, name string, to io.Writer) error {
	limited, cancel := context.WithTimeout(ctx, joinFileTimeout)
	defer cancel()
	req, err := c.request(limited, http.MethodGet, "/api/join/files/"+url.PathEscape(name), nil)
	if err != nil {
		return err
	}
	answer, err := c.send(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	if _, err := io.Copy(to, answer.Body); err != nil {
		return fmt.Errorf("fetching %s: %w", name, err)
	}
	return nil
}
