package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type marketUpgradeOptions struct {
	jobOptions
	name    string
	upgrade agent.ServiceUpgrade
	storage string
	set     []string
	unset   []string
	dryRun  bool
}

func newMarketUpgradeCommand(s *session) *cobra.Command {
	o := marketUpgradeOptions{jobOptions: jobOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "upgrade SERVICE",
		Short: "Change a service's values, or bring it to the newest chart",
		Long: `Change a service's values, or bring it to the newest version of its chart. What does
not get ready is rolled back. A major version of the server is never crossed: install
the new one beside it and restore a backup into that.`,
		Example: `  hks market upgrade db --set memory=512Mi --dry-run
  hks market upgrade db --storage 8Gi
  hks market upgrade db --latest`,
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.upgrade.Latest, "latest", false, "take the catalogue's version of the chart")
	cmd.Flags().StringVar(&o.storage, "storage", "", "grow the volume, such as 8Gi")
	cmd.Flags().StringArrayVar(&o.set, "set", nil, "a value of the chart: NAME=VALUE")
	cmd.Flags().StringArrayVar(&o.unset, "unset", nil, "a value to take back to the chart's own")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show what would change")
	return cmd
}

func (o *marketUpgradeOptions) run(ctx context.Context) error {
	values, err := valuesOf(o.set)
	if err != nil {
		return err
	}
	if o.storage != "" {
		values["storage"] = o.storage
	}
	for _, name := range o.unset {
		values[name] = nil
	}
	o.upgrade.Values = values
	if o.dryRun {
		return o.call(ctx, func(ctx context.Context, c *client.Client) error {
			changes, err := c.ServiceDiff(ctx, o.name, o.upgrade)
			if err != nil {
				return err
			}
			return o.showServiceChanges(changes)
		})
	}
	return o.began(ctx, func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
		return c.UpgradeService(ctx, o.name, o.upgrade)
	}, o.name+" is upgraded")
}

func (o *marketUpgradeOptions) showServiceChanges(changes []agent.Change) error {
	if o.json {
		return o.screen.printJSON(listOf(changes))
	}
	if len(changes) == 0 {
		o.screen.note("nothing would change")
		return nil
	}
	t := newTable("OBJECT", "FIELD", "FROM", "TO")
	for _, change := range changes {
		t.row(change.Component, change.Field, firstLine(change.From), firstLine(change.To))
	}
	return t.write(o.screen.out, o.screen.style)
}
