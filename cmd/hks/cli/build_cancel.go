package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

func newBuildCancelCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel BUILD",
		Short:   "Stop a build",
		Example: "  hks build cancel 12",
		Args:    takes("BUILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseBuild(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				b, err := c.CancelBuild(ctx, id)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(b)
				}
				s.screen.print("build %d is %s", id, b.Status)
				return nil
			})
		},
	}
}
