package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appStartOptions struct{ changeOptions }

func newAppStartCommand(s *session) *cobra.Command {
	o := appStartOptions{changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:               "start APP",
		Short:             "Bring a stopped application back",
		Example:           "  hks app start web",
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *appStartOptions) run(ctx context.Context) error {
	return o.apply(ctx, change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			return c.Start(ctx, ref.name, ref.env)
		},
		done: settled,
		said: "running",
	})
}
