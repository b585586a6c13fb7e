package k3s

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// State is where the engine is.
type State string

// The engine's states.
const (
	StateStopped  State = "stopped"
	StateStarting State = "starting" // not of use yet since k3s was started
	StateReady    State = "ready"    // the API server answers
	StateAway     State = "away"     // it was ready and does not answer now
)

// Health is what was observed of the engine.
type Health struct {
	State   State
	Since   time.Time // of the state
	Message string    // what it waits for, or what is wrong
	Version string    // of k3s
}

// pace is how often the engine is looked at, and for how long.
type pace struct {
	starting, ready time.Duration
	version         time.Duration // for k3s --version
	misses          int           // failed looks before a ready engine counts as away
	crashes         int           // ends during a start before the wait is given up
}

var defaultPace = pace{starting: 500 * time.Millisecond, ready: 3 * time.Second, version: 5 * time.Second, misses: 2, crashes: 3}

// Health tells how the engine fares.
func (e *Engine) Health() Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.health
}

// setHealth takes over what was observed and tells whoever listens.
func (e *Engine) setHealth(h Health) {
	e.mu.Lock()
	old := e.health
	h.Since = old.Since
	if h.State != old.State {
		h.Since = time.Now()
	}
	if h == old {
		e.mu.Unlock()
		return
	}
	e.health = h
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	e.cfg.Logger.Debug("engine", "state", h.State, "message", h.Message)
	e.cfg.OnChange(h)
}

// observe returns the health and a channel that closes when it changes.
func (e *Engine) observe() (Health, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.health, e.changed
}

// keepWatch looks at the engine until ctx ends.
func (e *Engine) keepWatch(ctx context.Context, version string, done chan<- struct{}) {
	defer close(done)
	cluster := &cluster{kubeconfig: e.cfg.Kubeconfig, node: e.cfg.NodeName}
	defer cluster.close()
	misses, pid := 0, 0
	for {
		h := e.Health()
		next := Health{State: h.State, Message: h.Message, Version: version}
		process, message := e.look(ctx, cluster, h.State == StateReady)
		if ctx.Err() != nil {
			return
		}
		switch {
		case message == "":
			misses, next.State, next.Message = 0, StateReady, ""
		case h.State == StateReady && process.Running && process.PID == pid && misses+1 < e.pace.misses:
			misses++ // one slow answer is no news
		case h.State == StateReady || h.State == StateAway:
			next.State, next.Message = StateAway, message
		default:
			next.State, next.Message = StateStarting, message
		}
		pid = process.PID
		e.setHealth(next)
		wait := e.pace.starting
		if next.State == StateReady {
			wait = e.pace.ready
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look tells what is missing until the engine is of use; "" is nothing. Once
// it was ready the API server's word is enough: a node that is not ready is
// told apart from an engine that is away.
func (e *Engine) look(ctx context.Context, c *cluster, wasReady bool) (agent.ProcessState, string) {
	process, err := e.cfg.Runner.State(ctx)
	switch {
	case err != nil:
		return process, "can't look at the k3s process: " + err.Error()
	case !process.Running && process.LastExit != "":
		return process, fmt.Sprintf("k3s ended (%s) and is being started again", process.LastExit)
	case !process.Running:
		return process, "waiting for the k3s process"
	}
	if e.cfg.Join != nil {
		return process, lookAtNode(ctx)
	}
	if err := c.load(); err != nil {
		return process, "waiting for k3s to write its credential"
	}
	if err := c.readyz(ctx); err != nil {
		return process, "waiting for the Kubernetes API: " + err.Error()
	}
	if wasReady {
		return process, ""
	}
	if err := c.nodeReady(ctx, process.Since); err != nil {
		return process, fmt.Sprintf("waiting for the node %s: %v", e.cfg.NodeName, err)
	}
	return process, ""
}

// waitReady waits until the engine is of use, with a deadline.
func (e *Engine) waitReady(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.StartTimeout)
	defer cancel()
	first, err := e.cfg.Runner.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at k3s: %w", err)
	}
	poll := time.NewTicker(e.pace.starting)
	defer poll.Stop()
	for {
		health, changed := e.observe()
		switch health.State {
		case StateReady:
			e.cfg.Logger.Info("k3s is ready", "version", health.Version, "after", time.Since(began).Round(time.Millisecond))
			return nil
		case StateStopped:
			return &agent.Error{Code: agent.CodeConflict, Message: "k3s was stopped while it was starting", Fix: "start it again"}
		}
		if state, err := e.cfg.Runner.State(ctx); err == nil && state.Restarts-first.Restarts >= e.pace.crashes {
			return e.startError(ctx, fmt.Sprintf("k3s ended %d times while it was starting (%s)", state.Restarts-first.Restarts, state.LastExit))
		}
		select {
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return e.startError(context.WithoutCancel(ctx), fmt.Sprintf("Kubernetes did not get ready within %s: %s", e.cfg.StartTimeout, health.Message))
			}
			return fmt.Errorf("waiting for k3s (%s): %w", health.Message, ctx.Err())
		case <-changed:
		case <-poll.C:
		}
	}
}

// startError adds k3s's own last words to what happened.
func (e *Engine) startError(ctx context.Context, what string) *agent.Error {
	lines := e.cfg.Tail(ctx, 20)
	if line := telling(lines); line != "" {
		what += "; it said: " + line
	}
	fix := "correct what k3s complains of, then start again"
	if e.cfg.LogPlace != "" {
		fix = "read " + e.cfg.LogPlace + ", " + fix
	}
	return &agent.Error{
		Code:    agent.CodeClusterAway,
		Message: what,
		Fix:     fix,
		Details: map[string]any{"log": lines},
	}
}

// telling picks the line that most likely names the cause.
func telling(lines []string) string {
	for _, sign := range []string{"level=fatal", "panic:", "level=error", "rror:"} {
		for i := len(lines) - 1; i >= 0; i-- {
			if strings.Contains(lines[i], sign) {
				return strings.TrimSpace(lines[i])
			}
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.TrimSpace(lines[len(lines)-1])
}
