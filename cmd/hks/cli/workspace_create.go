package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type workspaceCreateOptions struct {
	*session
	name string
}

func newWorkspaceCreateCommand(s *session) *cobra.Command {
	o := workspaceCreateOptions{session: s, name: agent.DefaultWorkspace}
	return &cobra.Command{
		Use:   "create [NAME]",
		Short: "Create the workspace, or try again after a failure",
		Long: `Create the workspace, or try again after a failure. It appears by itself at the first
login, so this is rarely needed.`,
		Example:           "  hks workspace create",
		Args:              takes("[NAME]"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.name = args[0]
			}
			return o.run(cmd.Context())
		},
	}
}

func (o *workspaceCreateOptions) run(ctx context.Context) error {
	if err := agent.ValidateName("workspace", o.name); err != nil {
		return asUsage(err)
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		w, err := c.CreateWorkspace(ctx, o.name)
		if err == nil {
			w, err = o.awaitWorkspace(ctx, c, w)
		}
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(w)
		}
		o.screen.print("the workspace %s is ready", w.Name)
		return nil
	})
}
