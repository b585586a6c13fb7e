package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/moby/buildkit/client"

	"hks.dev/hks/agent"
)

// How the daemon is looked at.
const (
	startPace = 100 * time.Millisecond
	pingLimit = 2 * time.Second
)

// errEnded is behind the error of a daemon that ended before it answered.
var errEnded = errors.New("the builder has ended")

func awayError(why string, cause error) error {
	return &agent.Error{
		Code:    agent.CodeBuilderAway,
		Message: "the builder does not answer: " + why,
		Fix:     "see with: hks status, and try again",
		Cause:   cause,
	}
}

// await waits until the daemon answers. One that ends meanwhile is told with
// its last words.
func (d *Daemon) await(ctx context.Context, began agent.ProcessState) error {
	tick := time.NewTicker(startPace)
	defer tick.Stop()
	ran := began.Running
	for {
		state, err := d.cfg.Runner.State(ctx)
		if err != nil {
			return fmt.Errorf("looking at the builder: %w", err)
		}
		if ran && !state.Running || state.Restarts > began.Restarts {
			return d.endedError(ctx, state)
		}
		ran = state.Running
		var asked error
		if state.Running {
			if err := d.cfg.Place.Admit(state.PID); err != nil {
				return err
			}
			if _, asked = ping(ctx, d.cfg.Socket); asked == nil {
				// BuildKit lets the group in, too.
				if err := os.Chmod(d.cfg.Socket, 0o600); err != nil {
					return fmt.Errorf("closing the builder's socket to others: %w", err)
				}
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return awayError(fmt.Sprintf("it did not start within %s; its log is in %s", d.cfg.StartTimeout, d.cfg.LogPlace), errors.Join(ctx.Err(), asked))
		case <-tick.C:
		}
	}
}

func (d *Daemon) endedError(ctx context.Context, state agent.ProcessState) error {
	why := "it ended (" + state.LastExit + ")"
	if last := d.cfg.Runner.Tail(ctx, 1); len(last) > 0 {
		why += ": " + last[0]
	}
	return awayError(why+"; its log is in "+d.cfg.LogPlace, errEnded)
}

// ping asks the daemon for its version; it can build when it has a worker.
func ping(ctx context.Context, socket string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	c, err := client.New(ctx, "unix://"+socket)
	if err != nil {
		return "", fmt.Errorf("connecting to the builder: %w", err)
	}
	defer func() { _ = c.Close() }() // nothing is under way
	info, err := c.Info(ctx)
	if err != nil {
		return "", fmt.Errorf("asking the builder: %w", err)
	}
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return "", fmt.Errorf("asking the builder: %w", err)
	}
	if len(workers) == 0 {
		return "", errors.New("the builder has no worker")
	}
	return info.BuildkitVersion.Version, nil
}

// Part tells how the builder fares. One that sleeps is well when it could be
// woken.
func (d *Daemon) Part(ctx context.Context) agent.Part {
	part := agent.Part{Name: "builder"}
	if err := executable(d.cfg.Binary); err != nil {
		part.Message = "its program is missing: " + err.Error()
		return part
	}
	if _, err := d.cfg.runc(); err != nil {
		part.Message = err.Error()
		return part
	}
	state, err := d.cfg.Runner.State(ctx)
	if err != nil {
		part.Message = err.Error()
		return part
	}
	d.mu.Lock()
	users := d.users
	d.mu.Unlock()
	switch {
	case state.Running:
		if part.Version, err = ping(ctx, d.cfg.Socket); err != nil {
			part.Message = err.Error()
			return part
		}
		part.Healthy = true
		if err := d.cfg.Place.Unlimited(); err != nil {
			part.Message = "builds run without limits: " + err.Error()
		}
	case users > 0:
		part.Message = "it does not run: " + state.LastExit
	default:
		part.Healthy, part.Message = true, "sleeps until the next build"
	}
	return part
}
