package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"hks.dev/hks/agent"
)

func functionPath(name, more string) string { return "/api/functions/" + url.PathEscape(name) + more }

// Functions lists the functions.
func (c *Client) Functions(ctx context.Context) ([]agent.Function, error) {
	var list []agent.Function
	return list, c.call(ctx, http.MethodGet, "/api/functions", nil, &list)
}

// Function shows one function, with its key.
func (c *Client) Function(ctx context.Context, name string) (agent.Function, error) {
	var f agent.Function
	return f, c.call(ctx, http.MethodGet, functionPath(name, ""), nil, &f)
}

// DeployFunction makes a new version; it is accepted, not yet serving.
func (c *Client) DeployFunction(ctx context.Context, d agent.FunctionDeploy) (agent.FunctionVersion, error) {
	var v agent.FunctionVersion
	return v, c.call(ctx, http.MethodPost, "/api/functions", d, &v)
}

// FunctionVersions lists the versions of a function, newest first.
func (c *Client) FunctionVersions(ctx context.Context, name string) ([]agent.FunctionVersion, error) {
	var list []agent.FunctionVersion
	return list, c.call(ctx, http.MethodGet, functionPath(name, "/versions"), nil, &list)
}

// FunctionSource is what a version was deployed with.
func (c *Client) FunctionSource(ctx context.Context, name string, number int) (agent.FunctionDeploy, error) {
	var d agent.FunctionDeploy
	return d, c.call(ctx, http.MethodGet, functionPath(name, "/versions/"+strconv.Itoa(number)), nil, &d)
}

// RollbackFunction has an earlier version serve; 0 is the one before.
func (c *Client) RollbackFunction(ctx context.Context, name string, version int) (agent.FunctionVersion, error) {
	var v agent.FunctionVersion
	return v, c.call(ctx, http.MethodPost, functionPath(name, "/rollback"), map[string]int{"version": version}, &v)
}

// SetFunctionEnv sets and unsets variables.
func (c *Client) SetFunctionEnv(ctx context.Context, name string, set map[string]string, unset []string) (agent.Function, error) {
	var f agent.Function
	return f, c.call(ctx, http.MethodPost, functionPath(name, "/env"), map[string]any{"set": set, "unset": unset}, &f)
}

// DeleteFunction removes a function.
func (c *Client) DeleteFunction(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, functionPath(name, ""), nil, nil)
}

// InvokeFunction calls a function and waits for its answer.
func (c *Client) InvokeFunction(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error) {
	var a agent.FunctionAnswer
	return a, c.call(ctx, http.MethodPost, functionPath(name, "/invoke"), call, &a)
}

// InvokeFunctionAsync leaves a call to be made.
func (c *Client) InvokeFunctionAsync(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionLetter, error) {
	var l agent.FunctionLetter
	return l, c.call(ctx, http.MethodPost, functionPath(name, "/invoke?async=true"), call, &l)
}

// FunctionLetters lists the asynchronous calls that are not done.
func (c *Client) FunctionLetters(ctx context.Context, name string) ([]agent.FunctionLetter, error) {
	var list []agent.FunctionLetter
	return list, c.call(ctx, http.MethodGet, functionPath(name, "/letters"), nil, &list)
}

// RedriveFunction has dead letters tried again and returns how many.
func (c *Client) RedriveFunction(ctx context.Context, name string) (int, error) {
	var answer struct{ Redriven int }
	return answer.Redriven, c.call(ctx, http.MethodPost, functionPath(name, "/letters/redrive"), nil, &answer)
}

// FunctionLogs yields the log of a function's newest instance.
func (c *Client) FunctionLogs(ctx context.Context, name string, follow bool) iter.Seq2[agent.FunctionLine, error] {
	return func(yield func(agent.FunctionLine, error) bool) {
		for f, err := range c.once(ctx, functionPath(name, "/logs?follow="+strconv.FormatBool(follow))) {
			if err != nil {
				yield(agent.FunctionLine{}, err)
				return
			}
			line, err := unmarshal[agent.FunctionLine](f)
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// EmitFunctionEvent has the functions called that wait for the event.
func (c *Client) EmitFunctionEvent(ctx context.Context, e agent.FunctionEvent) (agent.FunctionEventSent, error) {
	var sent agent.FunctionEventSent
	return sent, c.call(ctx, http.MethodPost, "/api/events", e, &sent)
}
