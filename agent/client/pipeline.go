package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"hks.dev/hks/agent"
)

// GitHub tells whether GitHub is connected.
func (c *Client) GitHub(ctx context.Context) (g agent.GitHub, err error) {
	err = c.call(ctx, http.MethodGet, "/api/github", nil, &g)
	return g, err
}

// ConnectGitHub checks a token and keeps it in place of an earlier one.
func (c *Client) ConnectGitHub(ctx context.Context, request agent.GitHubConnect) (g agent.GitHub, err error) {
	err = c.call(ctx, http.MethodPut, "/api/github", request, &g)
	return g, err
}

// DisconnectGitHub has the appliance forget its token.
func (c *Client) DisconnectGitHub(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/api/github", nil, nil)
}

// GitRepositories lists what the connection can see.
func (c *Client) GitRepositories(ctx context.Context) (list []agent.GitRepository, err error) {
	err = c.call(ctx, http.MethodGet, "/api/github/repositories", nil, &list)
	return list, err
}

// Pipelines lists all pipelines.
func (c *Client) Pipelines(ctx context.Context) (list []agent.Pipeline, err error) {
	err = c.call(ctx, http.MethodGet, "/api/pipelines", nil, &list)
	return list, err
}

// Pipeline returns one pipeline.
func (c *Client) Pipeline(ctx context.Context, name string) (p agent.Pipeline, err error) {
	err = c.call(ctx, http.MethodGet, pipelinePath(name, ""), nil, &p)
	return p, err
}

// CreatePipeline makes a pipeline; its first run begins.
func (c *Client) CreatePipeline(ctx context.Context, p agent.Pipeline) (agent.Pipeline, error) {
	err := c.call(ctx, http.MethodPost, "/api/pipelines", p, &p)
	return p, err
}

// EditPipeline changes branch, folder and tests of a pipeline.
func (c *Client) EditPipeline(ctx context.Context, p agent.Pipeline) (agent.Pipeline, error) {
	err := c.call(ctx, http.MethodPut, pipelinePath(p.Name, ""), p, &p)
	return p, err
}

// DeletePipeline forgets a pipeline. Its app stays.
func (c *Client) DeletePipeline(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, pipelinePath(name, ""), nil, nil)
}

// RunPipeline runs the newest commit of the pipeline's branch.
func (c *Client) RunPipeline(ctx context.Context, name string) (r agent.Run, err error) {
	err = c.call(ctx, http.MethodPost, pipelinePath(name, "/run"), nil, &r)
	return r, err
}

// Deliveries lists what came in by a pipeline's webhook, newest first.
func (c *Client) Deliveries(ctx context.Context, name string) (list []agent.Delivery, err error) {
	err = c.call(ctx, http.MethodGet, pipelinePath(name, "/deliveries"), nil, &list)
	return list, err
}

// Runs lists runs, newest first; pipeline may be empty for all.
func (c *Client) Runs(ctx context.Context, pipeline string) (list []agent.Run, err error) {
	err = c.call(ctx, http.MethodGet, "/api/runs?pipeline="+url.QueryEscape(pipeline), nil, &list)
	return list, err
}

// Run returns one run.
func (c *Client) Run(ctx context.Context, id int64) (r agent.Run, err error) {
	err = c.call(ctx, http.MethodGet, runPath(id, ""), nil, &r)
	return r, err
}

// CancelRun stops a run that has not ended.
func (c *Client) CancelRun(ctx context.Context, id int64) (r agent.Run, err error) {
	err = c.call(ctx, http.MethodPost, runPath(id, "/cancel"), nil, &r)
	return r, err
}

// ApproveRun has a run of a fork begin.
func (c *Client) ApproveRun(ctx context.Context, id int64) (r agent.Run, err error) {
	err = c.call(ctx, http.MethodPost, runPath(id, "/approve"), nil, &r)
	return r, err
}

// RunTests lists the tests of a run.
func (c *Client) RunTests(ctx context.Context, id int64) (list []agent.TestCase, err error) {
	err = c.call(ctx, http.MethodGet, runPath(id, "/tests"), nil, &list)
	return list, err
}

// SetPipelineEnv changes variables of a pipeline.
func (c *Client) SetPipelineEnv(ctx context.Context, name string, env agent.PipelineEnv) (p agent.Pipeline, err error) {
	err = c.call(ctx, http.MethodPatch, pipelinePath(name, "/env"), env, &p)
	return p, err
}

// Previews lists the apps of pull requests.
func (c *Client) Previews(ctx context.Context) (list []agent.Preview, err error) {
	err = c.call(ctx, http.MethodGet, "/api/previews", nil, &list)
	return list, err
}

// GitPermissions tries each permission that is needed of a repository.
func (c *Client) GitPermissions(ctx context.Context, repository string) (list []agent.GitPermission, err error) {
	err = c.call(ctx, http.MethodGet, "/api/github/permissions?repository="+url.QueryEscape(repository), nil, &list)
	return list, err
}

// StartGitHubApp begins to make a GitHub App through the browser.
func (c *Client) StartGitHubApp(ctx context.Context, start agent.GitHubAppStart) (form agent.GitHubAppForm, err error) {
	err = c.call(ctx, http.MethodPost, "/api/github/app", start, &form)
	return form, err
}

// CheckGitHubApp looks whether the App was installed, and connects by it.
func (c *Client) CheckGitHubApp(ctx context.Context, account string) (g agent.GitHub, err error) {
	err = c.call(ctx, http.MethodPost, "/api/github/app/check", map[string]string{"account": account}, &g)
	return g, err
}

// RerunRun runs the commit of an earlier run again; with failed from the step
// that failed.
func (c *Client) RerunRun(ctx context.Context, id int64, failed bool) (r agent.Run, err error) {
	more := "/rerun"
	if failed {
		more += "?failed=true"
	}
	err = c.call(ctx, http.MethodPost, runPath(id, more), nil, &r)
	return r, err
}

func pipelinePath(name, more string) string {
	return "/api/pipelines/" + url.PathEscape(name) + more
}

func runPath(id int64, more string) string {
	return "/api/runs/" + strconv.FormatInt(id, 10) + more
}
