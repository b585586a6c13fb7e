package buildkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
)

// ClientConfig says whom to speak to, and how builds are.
type ClientConfig struct {
	Socket   string
	Use      func(context.Context) (release func(), err error) // has the daemon run; Daemon.Use
	Registry func() Registry                                   // images go there
	Network  string                                            // of steps: host or none
	CA       string                                            // file with a PEM bundle, offered to steps as the secret "ca"; "" for none
	Memory   int64                                             // bytes that all steps together may take, for words only
	Logger   *slog.Logger                                      // default: none
}

// Client builds images by the daemon. It is safe for concurrent use; how many
// builds there are at a time is the caller's business.
type Client struct{ cfg ClientConfig }

// The networks of steps.
const (
	NetworkHost = "host"
	NetworkNone = "none"
)

// NewClient checks the settings.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Socket == "" || cfg.Use == nil || cfg.Registry == nil {
		return nil, errors.New("a client of the builder needs a socket, a daemon and a registry")
	}
	if cfg.Network != NetworkHost && cfg.Network != NetworkNone {
		return nil, fmt.Errorf("%q is no network for builds", cfg.Network)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg}, nil
}

// Result is what a build made.
type Result struct {
	Digest string // of the pushed image's manifest, sha256:...; empty for a job that pushes nothing
}

// cancelGrace is how long the daemon may take to say that it has stopped a
// cancelled build; it stops it all the same.
const cancelGrace = 700 * time.Millisecond

// Solve builds one job and calls on with each event, one at a time; on must
// be quick. Ending ctx stops the build at once.
func (c *Client) Solve(ctx context.Context, job Job, on func(Event)) (Result, error) {
	opt, done, err := c.options(job)
	if err != nil {
		return Result{}, err
	}
	defer done()
	release, err := c.cfg.Use(ctx)
	if err != nil {
		return Result{}, err
	}
	defer release()
	// A connection of its own, as closing it is the one sure end of a build.
	conn, err := client.New(context.WithoutCancel(ctx), "unix://"+c.cfg.Socket)
	if err != nil {
		return Result{}, awayError("there is no connection to it", err)
	}
	progress := newProgress(job.Secrets, on)
	statuses := make(chan *client.SolveStatus)
	finished := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { // ends when Solve has closed the channel
		for status := range statuses {
			progress.take(status)
		}
	})
	helpers.Go(func() {
		closeAfter(ctx, finished)
		_ = conn.Close() // nothing is under way any more, or nothing shall be
	})
	response, err := conn.Solve(ctx, nil, opt, statuses)
	close(finished)
	helpers.Wait()
	progress.flush()
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, fmt.Errorf("building: %w", context.Cause(ctx))
		}
		return Result{}, c.explain(err, job, progress)
	}
	result := Result{}
	if job.Push != "" {
		if result.Digest = response.ExporterResponse[exptypes.ExporterImageDigestKey]; result.Digest == "" {
			return Result{}, errors.New("the builder does not tell the digest of what it pushed")
		}
	}
	return result, nil
}

// closeAfter returns when the solve has finished, or some time after ctx ended.
func closeAfter(ctx context.Context, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-ctx.Done():
	}
	timer := time.NewTimer(cancelGrace)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
	}
}
