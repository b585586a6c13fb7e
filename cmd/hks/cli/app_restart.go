package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appRestartOptions struct{ changeOptions }

func newAppRestartCommand(s *session) *cobra.Command {
	o := appRestartOptions{changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:               "restart APP",
		Short:             "Replace the instances one by one",
		Example:           "  hks app restart web",
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

// run waits until no instance of before is left: the status alone may be
// running from before to after.
func (o *appRestartOptions) run(ctx context.Context) error {
	var before []agent.Instance
	return o.apply(ctx, change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			app, err := c.App(ctx, ref.name, ref.env)
			if err != nil {
				return app, err
			}
			before = app.Instances
			return c.Restart(ctx, ref.name, ref.env)
		},
		done: func(app agent.App) bool {
			return settled(app) && !slices.ContainsFunc(app.Instances, func(i agent.Instance) bool {
				return i.Phase == "ready" && slices.ContainsFunc(before, func(b agent.Instance) bool {
					return b.Name == i.Name && b.Restarts == i.Restarts && b.StartedAt.Equal(i.StartedAt)
				})
			})
		},
		said: "restarted",
	})
}
