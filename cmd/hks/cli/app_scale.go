package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appScaleOptions struct {
	changeOptions
	component string
	to        agent.Scale
}

func newAppScaleCommand(s *session) *cobra.Command {
	o := appScaleOptions{changeOptions: changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "scale APP [REPLICAS]",
		Short: "Change the number of instances, or let it follow the load",
		Long: `Change the number of instances, or let it follow the load between --min and --max.

With --max the cluster adds and removes instances so that each takes --cpu percent of
its CPU limit (hks deploy --cpu). It adds at once, and removes one a minute after five quiet minutes. A plain
number makes it fixed again. Either stays through deployments and rollbacks.`,
		Example: `  hks scale web 3
  hks scale shop 2 --component backend
  hks scale web --min 1 --max 4 --cpu 70`,
		Args:              takes("APP", "[REPLICAS]"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			if err := o.read(args[1:], cmd.Flags().Changed); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&o.to.Min, "min", 1, "the least instances that run, when their number follows the load")
	cmd.Flags().IntVar(&o.to.Max, "max", 0, "the most instances that run; the workspace must have room for all")
	cmd.Flags().IntVar(&o.to.CPU, "cpu", agent.ScaleCPU, "percent of its CPU limit that an instance is to take")
	cmd.Flags().StringVar(&o.component, "component", "", "the component to scale (default: the only one)")
	return cmd
}

// read takes either a number or the bounds.
func (o *appScaleOptions) read(number []string, given func(flag string) bool) error {
	bounds := cmp.Or(given("min"), given("max"), given("cpu"))
	switch {
	case bounds && len(number) > 0:
		return usagef("give a number to have it fixed, or --min and --max to have it follow the load", "how many instances is said twice")
	case bounds && !given("max"):
		return usagef("give the most instances that may run: --max 4", "--max is missing")
	case bounds:
		if err := o.to.Validate(); err != nil {
			return asUsage(err)
		}
		return nil
	case len(number) == 0:
		return usagef("give a number, or bounds: --min 1 --max 4", "how many instances shall run is missing")
	}
	n, err := strconv.Atoi(number[0])
	if err != nil || n < 0 {
		return usagef("give how many instances shall run", "%q is not a number of instances", number[0])
	}
	if n == 0 {
		return usagef("to take it down for a while: hks app stop "+o.app, "an application has at least one instance")
	}
	o.to = agent.Fixed(n)
	return nil
}

func (o *appScaleOptions) run(ctx context.Context) error {
	return o.apply(ctx, change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			return c.Scale(ctx, ref.name, ref.env, o.component, o.to)
		},
		done: func(app agent.App) bool { return settled(app) && o.scaled(app) },
		said: "scaled to " + o.to.String(),
	})
}

// scaled tells whether what was asked for is what the application has.
func (o *appScaleOptions) scaled(app agent.App) bool {
	for _, c := range app.Components {
		if c.Name == o.component || o.component == "" {
			if c.Autoscale == nil || !o.to.Auto() {
				return c.Autoscale == nil && c.Replicas == o.to.Max
			}
			return agent.Scale{Min: c.Autoscale.Min, Max: c.Autoscale.Max, CPU: c.Autoscale.CPU} == o.to
		}
	}
	return false
}

// boundsText is between how many instances the load decides; empty where the
// number is fixed.
func boundsText(a *agent.Autoscale) string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf("%d to %d", a.Min, a.Max)
}

// autoscaleText tells of an autoscaler at work; empty where there is none.
func autoscaleText(a *agent.Autoscale) string {
	if a == nil {
		return ""
	}
	now := "not measured yet"
	if a.Now != nil {
		now = fmt.Sprintf("now %d %%", *a.Now)
	}
	text := fmt.Sprintf("%s instances, at %d %% of the CPU limit (%s)", boundsText(a), a.CPU, now)
	if a.Reason != "" {
		text += ": " + clean(a.Reason)
	}
	return text
}
