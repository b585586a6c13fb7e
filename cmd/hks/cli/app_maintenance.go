package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appMaintenanceOptions struct {
	changeOptions
	message string
}

func newAppMaintenanceCommand(s *session) *cobra.Command {
	o := appMaintenanceOptions{changeOptions: changeOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "maintenance on|off APP",
		Short: "Show a maintenance page in place of an application",
		Long: `Show a maintenance page in place of an application, or take it away. Browsers get a
page and programs JSON, with status 503 and Retry-After. The application goes on running, and can
be deployed behind the page.`,
		Example: `  hks app maintenance on web --message "Back at 9 o'clock."
  hks app maintenance off web`,
		Args: takes("on|off", "APP"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp
			}
			return s.completeApp(false)(cmd, args[1:], toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[1]
			switch args[0] {
			case "on":
				return o.run(cmd.Context(), true)
			case "off":
				return o.run(cmd.Context(), false)
			}
			return usagef("hks app maintenance on "+args[1]+", or off", "%q is neither on nor off", args[0])
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.message, "message", "", "one line to show on the page")
	return cmd
}

func (o *appMaintenanceOptions) run(ctx context.Context, on bool) error {
	if !on && o.message != "" {
		return usagef("leave --message out", "a page that is taken away has no message")
	}
	ch := change{
		ask: func(ctx context.Context, c *client.Client, ref appRef) (agent.App, error) {
			return c.Maintenance(ctx, ref.name, ref.env, on, o.message)
		},
		done: func(app agent.App) bool {
			return app.Maintenance != nil && app.Maintenance.On && app.Maintenance.Applied
		},
		said: "behind its maintenance page",
	}
	if !on {
		ch.done, ch.said = func(app agent.App) bool { return app.Maintenance == nil }, "back: its maintenance page is off"
	}
	return o.apply(ctx, ch)
}
