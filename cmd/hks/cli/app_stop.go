package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appStopOptions struct{ changeOptions }

func newAppStopCommand(s *session) *cobra.Command {
	o := appStopOptions{changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:               "stop APP",
		Short:             "Take the instances away and keep the rest",
		Example:           "  hks app stop web",
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

func (o *appStopOptions) run(ctx context.Context) error {
	return o.apply(ctx, change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			return c.Stop(ctx, ref.name, ref.env)
		},
		done: func(app agent.App) bool { return app.Status == agent.AppStopped },
		said: "stopped",
	})
}
