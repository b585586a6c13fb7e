package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type workspaceShowOptions struct{ *session }

func newWorkspaceShowCommand(s *session) *cobra.Command {
	o := workspaceShowOptions{session: s}
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the workspace with its quota",
		Example: "  hks workspace show --json",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *workspaceShowOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		w, err := c.Workspace(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(w)
		}
		return o.showWorkspace(w)
	})
}
