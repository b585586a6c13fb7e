package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newWorkspaceCommand(s *session) *cobra.Command {
	show := newWorkspaceShowCommand(s)
	cmd := &cobra.Command{
		Use:   "workspace",
		Short: "Show, create or rename the workspace",
		Example: `  hks workspace
  hks workspace rename my-team`,
		Args: noCommand,
		RunE: show.RunE,
	}
	cmd.AddCommand(show, newWorkspaceCreateCommand(s), newWorkspaceRenameCommand(s))
	return cmd
}

// showWorkspace prints the workspace and its quota.
func (s *session) showWorkspace(w agent.Workspace) error {
	f := facts{}
	status := s.screen.style.status(string(w.Status))
	if w.Step != "" {
		status += " (" + w.Step + ")"
	}
	f.add("Workspace", s.screen.style.bold(w.Name))
	f.add("Status", status)
	f.add("Reason", w.Reason)
	f.add("Fix", w.Fix)
	f.add("Plan", w.Plan.Name)
	f.add("Pod security", w.PodLevel)
	if err := f.write(s.screen.out, s.screen.style); err != nil {
		return err
	}
	if len(w.Resources) == 0 {
		return nil
	}
	s.screen.print("")
	t := newTable("RESOURCE", "", "USED", "LIMIT")
	for _, r := range w.Resources {
		t.row(r.Name, bar(s.screen.style, r.Used, r.Limit, 20), amountText(r.Used, r.Unit), amountText(r.Limit, r.Unit))
	}
	return t.write(s.screen.out, s.screen.style)
}

const (
	pollPause        = 500 * time.Millisecond
	workspaceTimeout = 3 * time.Minute
)

// awaitWorkspace waits until the workspace is ready and says what it waits for.
func (s *session) awaitWorkspace(ctx context.Context, c *client.Client, w agent.Workspace) (agent.Workspace, error) {
	ctx, cancel := context.WithTimeout(ctx, workspaceTimeout)
	defer cancel()
	step := ""
	for {
		switch w.Status {
		case agent.WorkspaceReady:
			return w, nil
		case agent.WorkspaceFailed:
			return w, &agent.Error{Code: agent.CodeWorkspaceMissing, Message: "the workspace failed: " + w.Reason, Fix: w.Fix}
		}
		if w.Step != step && !s.json {
			step = w.Step
			s.screen.note("%s: %s", w.Status, clean(step))
		}
		err := pause(ctx, pollPause)
		if err == nil {
			w, err = c.Workspace(ctx)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return w, agent.Errorf(agent.CodeWorkspaceMissing, "it goes on; look again with hks workspace", "the workspace is not ready after %s: %s", workspaceTimeout, w.Step)
		}
		if err != nil {
			return w, err
		}
	}
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
