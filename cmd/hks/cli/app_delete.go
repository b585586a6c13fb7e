package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appDeleteOptions struct {
	*session
	app         string
	environment string
	yes         bool
}

func newAppDeleteCommand(s *session) *cobra.Command {
	o := appDeleteOptions{session: s}
	cmd := &cobra.Command{
		Use:   "delete APP",
		Short: "Remove an application from an environment",
		Long: `Remove an application from an environment, with its releases and its route. It asks
you to type the name first, and lists what was removed and what is kept.`,
		Example: `  hks app delete web
  hks app delete web/production --yes`,
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *appDeleteOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		app, err := c.App(ctx, ref.name, ref.env)
		if err != nil {
			return err
		}
		if err := o.confirm(ref, app); err != nil {
			return err
		}
		deletion, err := c.DeleteApp(ctx, ref.name, ref.env)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(deletion)
		}
		o.screen.print("%s is deleted", ref)
		for _, object := range deletion.Removed {
			o.screen.print("  removed  %s", clean(object))
		}
		for _, object := range deletion.Kept {
			o.screen.print("  kept     %s", clean(object))
		}
		return nil
	})
}

func (o *appDeleteOptions) confirm(ref appRef, app agent.App) error {
	if o.yes {
		return nil
	}
	if !o.screen.inTTY {
		return usagef("if you mean it: hks app delete "+ref.arg()+" --yes", "deleting %s asks for confirmation, and there is no terminal to ask on", ref)
	}
	o.screen.note("this deletes %s (%s, %s, %s) with its releases and its route", ref, app.Status, clean(app.Image), clean(app.URL))
	answer, err := o.screen.ask("type " + ref.String() + " to delete it: ")
	if err != nil {
		return err
	}
	if answer != ref.String() {
		return agent.Errorf(agent.CodeConflict, "", "nothing was deleted: the name does not match")
	}
	return nil
}
