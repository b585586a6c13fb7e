package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type workspaceRenameOptions struct {
	*session
	name string
}

func newWorkspaceRenameCommand(s *session) *cobra.Command {
	o := workspaceRenameOptions{session: s}
	return &cobra.Command{
		Use:               "rename NAME",
		Short:             "Rename the workspace while nothing is deployed in it",
		Example:           "  hks workspace rename my-team",
		Args:              takes("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
}

func (o *workspaceRenameOptions) run(ctx context.Context) error {
	if err := agent.ValidateName("workspace", o.name); err != nil {
		return asUsage(err)
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		w, err := c.RenameWorkspace(ctx, o.name)
		if err == nil {
			w, err = o.awaitWorkspace(ctx, c, w)
		}
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(w)
		}
		o.screen.print("the workspace is now called %s", w.Name)
		return nil
	})
}
