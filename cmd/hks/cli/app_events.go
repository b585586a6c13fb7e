package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
)

type appEventsOptions struct {
	activityOptions
	app         string
	environment string
}

func newAppEventsCommand(s *session) *cobra.Command {
	o := appEventsOptions{activityOptions: activityOptions{session: s}}
	cmd := &cobra.Command{
		Use:               "events APP",
		Short:             "Show what happened to an application",
		Example:           "  hks app events -f web",
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	o.flags(cmd)
	return cmd
}

func (o *appEventsOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	if _, err := c.App(ctx, ref.name, ref.env); err != nil {
		return err
	}
	o.wanted = func(a agent.Activity) bool { return a.Subject == ref.String() }
	return o.activityOptions.run(ctx)
}
