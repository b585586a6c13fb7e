package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type rollbackOptions struct {
	*session
	app         string
	environment string
	number      int // 0: the one before
	noWait      bool
	timeout     time.Duration
}

func newRollbackCommand(s *session) *cobra.Command {
	o := rollbackOptions{session: s}
	cmd := &cobra.Command{
		Use:   "rollback APP [RELEASE]",
		Short: "Bring an earlier release back: its image and its configuration",
		Long: `Bring an earlier release back, exactly: the same image by digest and the same
configuration. Without a number it is the one that served before. It becomes a new release.`,
		Example: `  hks rollback web
  hks rollback web/production 12`,
		Args:              takes("APP", "[RELEASE]"),
		ValidArgsFunction: s.completeApp(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			if len(args) > 1 {
				var err error
				if o.number, err = parseRelease(args[1]); err != nil {
					return err
				}
			}
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as the rollback is accepted")
	cmd.Flags().DurationVar(&o.timeout, "timeout", deployTimeout, "how long to watch; the rollback itself goes on")
	return cmd
}

func (o *rollbackOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Rollback(ctx, ref.name, ref.env, o.number)
		if err != nil {
			return err
		}
		if o.noWait {
			return o.accepted(ref, r)
		}
		if !o.json {
			o.screen.note("%s: release %d brings back release %d (%s)", ref, r.Number, r.From, imagesText(r.Spec))
		}
		return o.watchRelease(ctx, c, ref, r.Number, o.timeout)
	})
}
