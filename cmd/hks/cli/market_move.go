package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketMoveCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	var to string
	var plan, yes bool
	cmd := &cobra.Command{
		Use:   "move SERVICE",
		Short: "Move a service with its data to a dedicated node, or back to the shared pool",
		Long: `Move a service with its data to a dedicated node, or back to the shared pool. The data is
copied while the service runs; then it ends, what was written meanwhile is copied, the copy is
compared by checksum, and it starts there. When it does not get ready, it is brought back to the
data it came from. It shows what will happen and how long the pause will be, and asks.`,
		Example: `  hks market move db --to dedicated --plan
  hks market move db --to prod-1
  hks market move db --to shared --yes`,
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if to == "" {
				return usagef("hks market move "+name+" --to dedicated", "--to is missing")
			}
			err := s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				found, err := c.PlanServiceMove(ctx, name, to)
				if err != nil {
					return err
				}
				if plan && s.json {
					return s.screen.printJSON(found)
				}
				if !s.json {
					showMove(s.screen, name, found)
				}
				if plan || !found.Fits || found.From == found.To {
					return nil // it is refused in the API's own words
				}
				return confirmMove(s.screen, yes, name, "hks market move "+name+" --to "+to)
			})
			if err != nil || plan {
				return err
			}
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.MoveService(ctx, name, to)
			}, name+" runs there")
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "shared, dedicated, or the name of a dedicated node")
	cmd.Flags().BoolVar(&plan, "plan", false, "only show what would happen")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
