package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

func appPath(app string, env agent.Environment, more string) string {
	return "/api/apps/" + url.PathEscape(app) + "/" + url.PathEscape(string(env)) + more
}

func releasePath(app string, env agent.Environment, number int, more string) string {
	return appPath(app, env, "/releases/"+strconv.Itoa(number)+more)
}

// Apps lists the applications of all environments.
func (c *Client) Apps(ctx context.Context) ([]agent.App, error) {
	var apps []agent.App
	err := c.call(ctx, http.MethodGet, "/api/apps", nil, &apps)
	return apps, err
}

// App returns one application with its instances.
func (c *Client) App(ctx context.Context, app string, env agent.Environment) (agent.App, error) {
	var a agent.App
	err := c.call(ctx, http.MethodGet, appPath(app, env, ""), nil, &a)
	return a, err
}

// DeleteApp removes an application and tells what went and what is kept.
func (c *Client) DeleteApp(ctx context.Context, app string, env agent.Environment) (agent.Deletion, error) {
	var d agent.Deletion
	err := c.callWithin(ctx, slowTimeout, http.MethodDelete, appPath(app, env, ""), nil, &d)
	return d, err
}

// Releases lists the releases, the newest first.
func (c *Client) Releases(ctx context.Context, app string, env agent.Environment) ([]agent.Release, error) {
	var releases []agent.Release
	err := c.call(ctx, http.MethodGet, appPath(app, env, "/releases"), nil, &releases)
	return releases, err
}

// Release returns one release.
func (c *Client) Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error) {
	var r agent.Release
	err := c.call(ctx, http.MethodGet, releasePath(app, env, number, ""), nil, &r)
	return r, err
}

// Deploy asks for a new release. In d.Env agent.HiddenValue keeps the value
// that the latest release has for the key; a nil map keeps all of them.
func (c *Client) Deploy(ctx context.Context, app string, env agent.Environment, d agent.Deploy) (agent.Release, error) {
	var r agent.Release
	err := c.call(ctx, http.MethodPost, appPath(app, env, "/releases"), d, &r)
	return r, err
}

// Rollback brings release number back as a new release; 0 means the one before.
func (c *Client) Rollback(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error) {
	var r agent.Release
	err := c.call(ctx, http.MethodPost, appPath(app, env, "/rollback"), struct {
		Release int `json:"release"`
	}{number}, &r)
	return r, err
}

// Promote makes a release in the environment to from what serves in from.
func (c *Client) Promote(ctx context.Context, app string, from, to agent.Environment) (agent.Release, error) {
	var r agent.Release
	err := c.call(ctx, http.MethodPost, appPath(app, to, "/promote"), struct {
		From agent.Environment `json:"from"`
	}{from}, &r)
	return r, err
}

// Move makes a release whose instances run elsewhere: shared, dedicated, or
// the name of a dedicated node.
func (c *Client) Move(ctx context.Context, app string, env agent.Environment, to string) (agent.Release, error) {
	var r agent.Release
	return r, c.call(ctx, http.MethodPost, appPath(app, env, "/move"), map[string]string{"to": to}, &r)
}

// PlanMove tells what a move would do, and does nothing.
func (c *Client) PlanMove(ctx context.Context, app string, env agent.Environment, to string) (agent.MovePlan, error) {
	var plan agent.MovePlan
	return plan, c.call(ctx, http.MethodPost, appPath(app, env, "/move/plan"), map[string]string{"to": to}, &plan)
}

// Diff tells what a deploy would change, and changes nothing.
func (c *Client) Diff(ctx context.Context, app string, env agent.Environment, d agent.Deploy) ([]agent.Change, error) {
	var changes []agent.Change
	err := c.call(ctx, http.MethodPost, appPath(app, env, "/diff"), d, &changes)
	return changes, err
}

// Restart replaces the instances one by one.
func (c *Client) Restart(ctx context.Context, app string, env agent.Environment) (agent.App, error) {
	return c.act(ctx, app, env, "/restart", nil)
}

// Scale changes how many instances of a component there are to be; the only
// component needs no name.
func (c *Client) Scale(ctx context.Context, app string, env agent.Environment, component string, to agent.Scale) (agent.App, error) {
	return c.act(ctx, app, env, "/scale", struct {
		Component string      `json:"component,omitempty"`
		Replicas  agent.Scale `json:"replicas"`
	}{component, to})
}

// Stop takes the instances away and keeps the rest.
func (c *Client) Stop(ctx context.Context, app string, env agent.Environment) (agent.App, error) {
	return c.act(ctx, app, env, "/stop", nil)
}

// Start brings a stopped application back.
func (c *Client) Start(ctx context.Context, app string, env agent.Environment) (agent.App, error) {
	return c.act(ctx, app, env, "/start", nil)
}

func (c *Client) act(ctx context.Context, app string, env agent.Environment, verb string, in any) (agent.App, error) {
	var a agent.App
	err := c.call(ctx, http.MethodPost, appPath(app, env, verb), in, &a)
	return a, err
}

// Metrics returns an application's use over the last while.
func (c *Client) Metrics(ctx context.Context, app string, env agent.Environment, since time.Duration) ([]agent.Point, error) {
	var points []agent.Point
	err := c.call(ctx, http.MethodGet, appPath(app, env, "/metrics?since="+url.QueryEscape(since.String())), nil, &points)
	return points, err
}

// Progress yields a release's progress from the start to its end. The
// connection may break in between; nothing is yielded twice.
func (c *Client) Progress(ctx context.Context, app string, env agent.Environment, number int) iter.Seq2[agent.Progress, error] {
	return func(yield func(agent.Progress, error) bool) {
		var seen, replayed int
		path := func() string {
			replayed = 0
			return releasePath(app, env, number, "/progress")
		}
		lastID := int64(-1)
		for f, err := range c.follow(ctx, path) {
			if err != nil {
				yield(agent.Progress{}, err)
				return
			}
			replayed++
			known := replayed <= seen // not numbered: each connection begins anew
			if id, err := strconv.ParseInt(f.id, 10, 64); err == nil {
				known = id <= lastID
				lastID = max(lastID, id)
			}
			p, err := unmarshal[agent.Progress](f)
			if known && err == nil && !p.Done {
				continue
			}
			seen++
			if !yield(p, err) || err != nil || p.Done {
				return
			}
		}
	}
}
