package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

// SubmitBuild uploads a source, a tar archive, to be built and released.
// progress is told how many bytes went out; it may be nil. When source fails
// with an *agent.Error, that is the answer.
func (c *Client) SubmitBuild(ctx context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, progress func(sent int64)) (agent.Build, error) {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(uploadStall, func() { cancel(errSilent) })
	defer stall.Stop()
	var sent int64
	counted := &countedReader{r: source, count: func(n int, ended bool) {
		sent += int64(n)
		stall.Reset(uploadStall)
		if progress != nil {
			progress(sent)
		}
	}}
	body, out := io.Pipe()
	form := multipart.NewWriter(out)
	written := make(chan error, 1)
	go func() { // ends with the request: closing body breaks the pipe
		err := writeBuild(form, request, counted)
		_ = out.CloseWithError(err)
		written <- err
	}()
	defer func() { _ = body.Close() }()
	req, err := c.request(limited, http.MethodPost, appPath(app, env, "/builds"), body)
	if err != nil {
		return agent.Build{}, err
	}
	req.ContentLength = -1
	req.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := c.send(ctx, req)
	if err != nil {
		_ = body.CloseWithError(err)
		if e, ok := errors.AsType[*agent.Error](<-written); ok {
			return agent.Build{}, e
		}
		return agent.Build{}, err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	stall.Reset(pushTimeout)
	var b agent.Build
	return b, c.decode(ctx, answer, &b)
}

func writeBuild(form *multipart.Writer, request agent.BuildRequest, source io.Reader) error {
	part, err := form.CreateFormField("request")
	if err == nil {
		err = json.NewEncoder(part).Encode(request)
	}
	if err != nil {
		return fmt.Errorf("sending what to build: %w", err)
	}
	if part, err = form.CreateFormFile("source", "source.tar"); err != nil {
		return fmt.Errorf("sending the source: %w", err)
	}
	if _, err := io.Copy(part, source); err != nil {
		return fmt.Errorf("sending the source: %w", err)
	}
	return form.Close()
}

// Builds lists builds, newest first: of one app or environment where it is
// named, else all.
func (c *Client) Builds(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error) {
	query := url.Values{}
	if app != "" {
		query.Set("app", app)
	}
	if env != "" {
		query.Set("environment", string(env))
	}
	var builds []agent.Build
	err := c.call(ctx, http.MethodGet, "/api/builds?"+query.Encode(), nil, &builds)
	return builds, err
}

// Build returns one build.
func (c *Client) Build(ctx context.Context, id int64) (agent.Build, error) {
	var b agent.Build
	err := c.call(ctx, http.MethodGet, buildPath(id, ""), nil, &b)
	return b, err
}

// CancelBuild stops a build that has not ended.
func (c *Client) CancelBuild(ctx context.Context, id int64) (agent.Build, error) {
	var b agent.Build
	err := c.call(ctx, http.MethodPost, buildPath(id, "/cancel"), nil, &b)
	return b, err
}

// BuildCache tells what the builder keeps for later builds.
func (c *Client) BuildCache(ctx context.Context) (agent.BuildCache, error) {
	var cache agent.BuildCache
	err := c.callWithin(ctx, pushTimeout, http.MethodGet, "/api/builds/cache", nil, &cache)
	return cache, err
}

// PruneBuildCache removes what no build used in a week, or with all everything.
func (c *Client) PruneBuildCache(ctx context.Context, all bool) (agent.BuildCachePrune, error) {
	var done agent.BuildCachePrune
	err := c.callWithin(ctx, pushTimeout, http.MethodDelete, "/api/builds/cache?all="+strconv.FormatBool(all), nil, &done)
	return done, err
}

// BuildLog yields the lines of a build's log. With follow it goes on over
// broken connections, without a line coming twice, to the last line, which
// holds the build.
func (c *Client) BuildLog(ctx context.Context, id int64, follow bool) iter.Seq2[agent.BuildLine, error] {
	return func(yield func(agent.BuildLine, error) bool) {
		var seen, replayed int
		path := func() string {
			replayed = 0
			return buildPath(id, "/log?follow="+strconv.FormatBool(follow))
		}
		source := c.follow(ctx, path)
		if !follow {
			source = c.once(ctx, path())
		}
		for f, err := range source {
			if err != nil {
				yield(agent.BuildLine{}, err)
				return
			}
			if replayed++; replayed <= seen {
				continue
			}
			seen++
			line, err := unmarshal[agent.BuildLine](f)
			if !yield(line, err) || err != nil || line.Build != nil {
				return
			}
		}
	}
}

func buildPath(id int64, more string) string {
	return "/api/builds/" + strconv.FormatInt(id, 10) + more
}
