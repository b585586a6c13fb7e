package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// askPause is between two looks at the agent.
const askPause = 500 * time.Millisecond

// runAgent starts the agent, waits until all of its parts are healthy, and
// leaves it running.
func (m *machine) runAgent(ctx context.Context, s service, timeout time.Duration) (err error) {
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	defer func() { err = errors.Join(err, s.Detach(context.WithoutCancel(ctx))) }()
	return m.waitHealthy(ctx, s, timeout)
}

// waitHealthy shows what the appliance waits for until it waits for nothing.
func (m *machine) waitHealthy(ctx context.Context, s service, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := m.client()
	if err != nil {
		return err
	}
	first, err := s.State(ctx)
	if err != nil {
		return fmt.Errorf("looking at the agent: %w", err)
	}
	began, shown := time.Now(), map[string]string{}
	last := "the agent to answer"
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for {
		state, err := s.State(ctx)
		if err == nil && state.Restarts > first.Restarts {
			return m.agentEnded(ctx, s, state)
		}
		ask, cancelAsk := context.WithTimeout(ctx, 10*time.Second)
		system, err := c.System(ask)
		cancelAsk()
		switch {
		case err == nil:
			waits := m.showParts(system.Parts, shown, began)
			if len(waits) == 0 && len(system.Parts) > 0 {
				return nil
			}
			last = strings.Join(waits, "; ")
		case !away(err) && ctx.Err() == nil:
			return fmt.Errorf("asking the agent: %w", err)
		}
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("waiting for %s: %w", last, ctx.Err())
			}
			return &agent.Error{
				Code:    agent.CodeClusterAway,
				Message: fmt.Sprintf("hks is not healthy after %s; it waits for %s", timeout, last),
				Fix:     "read " + m.logPlace() + ", mend what it complains of, and run hks-installer up again: it goes on from here",
			}
		case <-tick.C:
		}
	}
}

// showParts prints each part's news once, and returns what is waited for.
func (m *machine) showParts(parts []agent.Part, shown map[string]string, began time.Time) []string {
	var waits []string
	for _, part := range parts {
		line := "ready"
		if part.Version != "" {
			line += ", " + part.Version
		}
		if !part.Healthy {
			if line = part.Message; line == "" {
				line = "not ready yet"
			}
			waits = append(waits, part.Name+" ("+line+")")
		}
		if shown[part.Name] != line {
			shown[part.Name] = line
			m.say("%6s  %-11s %s", time.Since(began).Round(time.Second), part.Name, line)
		}
	}
	return waits
}

// away tells an agent that does not listen yet from one that refuses.
func away(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, context.DeadlineExceeded) || agent.CodeOf(err) == client.CodeUnreachable || agent.CodeOf(err) == agent.CodeClusterAway || agent.CodeOf(err) == agent.CodeInternal
}

func (m *machine) agentEnded(ctx context.Context, s service, state agent.ProcessState) error {
	// An agent that can't run must not be tried for ever behind one's back.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := s.Stop(stop)
	lines := s.Tail(stop, 10)
	return &agent.Error{
		Code:    agent.CodeClusterAway,
		Message: fmt.Sprintf("the agent ended (%s) instead of running; its last words:\n  %s", state.LastExit, strings.Join(lines, "\n  ")),
		Fix:     "mend what it complains of and run hks-installer up again; the whole log: " + m.logPlace(),
		Cause:   err,
	}
}

func (m *machine) logPlace() string {
	if m.bySystemd() {
		return "journalctl -u hks-agent -u hks-k3s -u hks-gateway"
	}
	return m.paths.Logs("*.log")
}
