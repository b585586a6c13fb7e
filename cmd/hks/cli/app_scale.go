package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appScaleOptions struct {
	changeOptions
	component string
	replicas  int
}

func newAppScaleCommand(s *session) *cobra.Command {
	o := appScaleOptions{changeOptions: changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "scale APP REPLICAS",
		Short: "Change the number of instances",
		Example: `  hks scale web 3
  hks scale shop 2 --component backend`,
		Args:              takes("APP", "REPLICAS"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 {
				return usagef("give how many instances shall run", "%q is not a number of instances", args[1])
			}
			if n == 0 {
				return usagef("to take it down for a while: hks app stop "+args[0], "an application has at least one instance")
			}
			o.replicas = n
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.component, "component", "", "the component to scale (default: the only one)")
	return cmd
}

func (o *appScaleOptions) run(ctx context.Context) error {
	return o.apply(ctx, change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			return c.Scale(ctx, ref.name, ref.env, o.component, o.replicas)
		},
		done: func(app agent.App) bool { return settled(app) && o.scaled(app) },
		said: "scaled to " + plural(o.replicas, "instance"),
	})
}

// scaled tells whether the number asked for is what the application has.
func (o *appScaleOptions) scaled(app agent.App) bool {
	for _, c := range app.Components {
		if c.Name == o.component || o.component == "" {
			return c.Replicas == o.replicas
		}
	}
	return false
}
