package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"hks.dev/hks/agent"
)

// retry says how a broken stream is taken up again.
type retry struct {
	first    time.Duration // pause before the first attempt, doubled each time
	longest  time.Duration // pause at most
	patience time.Duration // give up after so long without a connection
	idle     time.Duration // a stream without even a heartbeat for so long is dead
}

var defaultRetry = retry{first: 250 * time.Millisecond, longest: 5 * time.Second, patience: 3 * time.Minute, idle: 45 * time.Second}

var (
	errEnded  = errors.New("the appliance ended the stream")
	errSilent = errors.New("the appliance fell silent")
)

// Names of the frames that say how a finite stream came to its end: failure
// holds an error of the API, end is always the last.
const (
	frameFailure = "failure"
	frameEnd     = "end"
)

// connect yields the frames of one connection, ending with it or with an error.
func (c *Client) connect(ctx context.Context, path, lastID string) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		conn, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		idle := time.AfterFunc(c.retry.idle, func() { cancel(errSilent) })
		defer idle.Stop()
		req, err := c.request(conn, http.MethodGet, path, nil)
		if err != nil {
			yield(frame{}, err)
			return
		}
		req.Header.Set("Accept", "text/event-stream")
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		answer, err := c.send(ctx, req)
		if err != nil {
			yield(frame{}, err)
			return
		}
		defer func() { _ = answer.Body.Close() }() // only read from
		body := &watchedReader{r: answer.Body, seen: func() { idle.Reset(c.retry.idle) }}
		for f, err := range frames(body) {
			if err != nil {
				err = c.broken(ctx, err)
			} else if f.event == frameFailure {
				if e := decodeError(f.data); e != nil {
					err = e
				}
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// once yields the events of a finite stream that can't be taken up again.
func (c *Client) once(ctx context.Context, path string) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		for f, err := range c.connect(ctx, path, "") {
			if err == nil && f.event == frameEnd {
				return
			}
			if (err != nil || f.data != nil) && !yield(f, err) || err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(frame{}, err)
			return
		}
		yield(frame{}, c.explain(errEnded))
	}
}

// follow yields events over as many connections as it takes, until the
// consumer has enough, the stream is at its end, ctx ends or the appliance
// refuses. path is asked for each connection. A first connection that fails is
// not tried again.
func (c *Client) follow(ctx context.Context, path func() string) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		pause, connected, lastID := c.retry.first, false, ""
		alive := time.Now()
		for {
			trouble := error(errEnded)
			for f, err := range c.connect(ctx, path(), lastID) {
				if err != nil {
					trouble = err
					break
				}
				lastID, pause, connected, alive = f.id, c.retry.first, true, time.Now()
				if f.event == frameEnd || f.data != nil && !yield(f, nil) {
					return
				}
			}
			if err := ctx.Err(); err != nil {
				yield(frame{}, err)
				return
			}
			if trouble == errEnded { // it did answer
				connected, alive = true, time.Now()
			}
			if !connected || !passing(trouble) || time.Since(alive) > c.retry.patience {
				yield(frame{}, trouble)
				return
			}
			if c.cfg.OnReconnect != nil {
				c.cfg.OnReconnect(trouble)
			}
			if err := sleep(ctx, pause); err != nil {
				yield(frame{}, err)
				return
			}
			pause = min(2*pause, c.retry.longest)
		}
	}
}

// passing tells whether trouble may go away by itself.
func passing(err error) bool {
	if errors.Is(err, errEnded) {
		return true
	}
	switch agent.CodeOf(err) { // INTERNAL for the context's own error
	case CodeUnreachable, agent.CodeClusterAway, agent.CodeTooMany:
		return true
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// unmarshal decodes a frame's data.
func unmarshal[T any](f frame) (T, error) {
	var v T
	if err := json.Unmarshal(f.data, &v); err != nil {
		return v, agent.Errorf(CodeNotAppliance, "bring hks and the appliance to the same version: hks version shows both",
			"the appliance sent a %s event that this version of hks does not understand: %w", f.event, err)
	}
	return v, nil
}

// watchedReader tells of every arrival.
type watchedReader struct {
	r    io.Reader
	seen func()
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.seen()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading the stream: %w", err)
	}
	return n, err
}
