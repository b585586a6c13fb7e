package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

func newNotifyRemoveCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove CHANNEL",
		Short: "Remove a channel; what still waits for it is not sent",
		Example: `  hks notify remove team
  hks notify remove team --yes`,
		Args: takes("CHANNEL"), ValidArgsFunction: s.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				channel, err := s.channel(ctx, c, args[0])
				if err != nil {
					return err
				}
				what := "its secret is forgotten, and " + plural(channel.Waiting, "report") + " that wait for it are not sent"
				if channel.Waiting == 0 {
					what = "its secret is forgotten"
				}
				if err := s.confirmName(yes, channel.Name, what, "hks notify remove "+channel.Name); err != nil {
					return err
				}
				if err := c.DeleteChannel(ctx, channel.Name); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]string{"removed": channel.Name})
				}
				s.screen.print("no more reports go to %s", clean(channel.Name))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
