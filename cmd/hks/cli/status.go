package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type statusOptions struct{ *session }

func newStatusCommand(s *session) *cobra.Command {
	o := statusOptions{session: s}
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the appliance's parts and the workspace's quota",
		Example: "  hks status",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *statusOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		system, err := c.System(ctx)
		if err != nil {
			return err
		}
		var workspace *agent.Workspace
		w, err := c.Workspace(ctx)
		switch agent.CodeOf(err) {
		case "":
			workspace = &w
		case agent.CodeNotFound, agent.CodeWorkspaceMissing, agent.CodeClusterAway: // the parts say more
		default:
			return err
		}
		if o.json {
			return o.screen.printJSON(struct {
				agent.System
				Workspace *agent.Workspace `json:"workspace,omitempty"`
			}{system, workspace})
		}
		if err := o.showParts(system.Parts); err != nil {
			return err
		}
		o.screen.print("")
		if workspace == nil {
			o.screen.print("Workspace: %v", err)
			return nil
		}
		return o.showWorkspace(*workspace)
	})
}

func (o *statusOptions) showParts(parts []agent.Part) error {
	t := newTable("PART", "STATE", "VERSION", "")
	for _, p := range parts {
		state := "healthy"
		if !p.Healthy {
			state = "unhealthy"
		}
		t.row(p.Name, o.screen.style.status(state), p.Version, p.Message)
	}
	return t.write(o.screen.out, o.screen.style)
}
