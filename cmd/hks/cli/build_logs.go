package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

func newBuildLogsCommand(s *session) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:     "logs BUILD",
		Short:   "Show the log of a build",
		Example: "  hks build logs 12 -f",
		Args:    takes("BUILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseBuild(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				b, err := s.watchBuild(ctx, c, id, follow)
				if err != nil {
					return err
				}
				if !b.Status.Done() {
					s.screen.note("build %d is %s; its log goes on: hks build logs %d -f", id, b.Status, id)
				}
				return buildFailure(b)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build ends")
	return cmd
}
