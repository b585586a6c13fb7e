package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type imagePruneOptions struct {
	*session
	dryRun bool
	yes    bool
}

func newImagePruneCommand(s *session) *cobra.Command {
	o := imagePruneOptions{session: s}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove the images that nobody needs",
		Long: `Remove the images that nobody needs. What a kept release points to stays, and so do
the appliance's own base images and all that was loaded or pushed in the last 24 hours.
It shows what would go and asks first.`,
		Example: `  hks image prune --dry-run
  hks image prune --yes`,
		Args:              takes(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show what would go")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *imagePruneOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		if o.dryRun || !o.yes {
			plan, err := c.PruneImages(ctx, true)
			if err != nil {
				return err
			}
			if o.dryRun || len(plan.Removed) == 0 && plan.FreedBytes == 0 {
				return o.show(plan, true)
			}
			if err := o.confirm(plan); err != nil {
				return err
			}
		}
		done, err := c.PruneImages(ctx, false)
		if err != nil {
			return err
		}
		return o.show(done, false)
	})
}

func (o *imagePruneOptions) show(done agent.ImagePrune, planned bool) error {
	if o.json {
		return o.screen.printJSON(done)
	}
	if len(done.Removed) > 0 {
		if err := o.showImages(done.Removed); err != nil {
			return err
		}
	}
	text := "%s removed, %s freed; %s of a budget of %s stay"
	if planned {
		text = "%s would be removed, %s freed; %s of a budget of %s would stay"
	}
	o.screen.print(text, plural(len(done.Removed), "image"),
		bytesText(done.FreedBytes), bytesText(done.AfterBytes), bytesText(done.BudgetBytes))
	return nil
}

func (o *imagePruneOptions) confirm(plan agent.ImagePrune) error {
	if !o.screen.inTTY {
		return usagef("if you mean it: hks image prune --yes", "removing %s asks for confirmation, and there is no terminal to ask on", plural(len(plan.Removed), "image"))
	}
	for _, image := range plan.Removed {
		o.screen.note("  %s  %s", clean(image.Name), bytesText(image.SizeBytes))
	}
	answer, err := o.screen.ask("remove " + plural(len(plan.Removed), "image") + ", " + bytesText(plan.FreedBytes) + "? (yes/no) ")
	if err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return agent.Errorf(agent.CodeConflict, "", "nothing was removed")
	}
	return nil
}
