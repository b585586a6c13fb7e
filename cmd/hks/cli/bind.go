package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type bindOptions struct {
	configOptions
	service, prefix string
}

func newBindCommand(s *session) *cobra.Command {
	o := bindOptions{configOptions: configOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "bind APP SERVICE",
		Short: "Give an application the credentials of a service",
		Long: `Give an application the credentials of a service: DATABASE_URL and its parts for
PostgreSQL, REDIS_URL for Valkey. They come as secrets, by a release.`,
		Example: `  hks bind web db
  hks bind web/production db --as ORDERS     # ORDERS_DATABASE_URL`,
		Args:              takes("APP", "SERVICE"),
		ValidArgsFunction: s.completeBinding,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app, o.service = args[0], args[1]
			return o.change(cmd.Context(), "binds "+args[1], func(ctx context.Context, c *client.Client, ref appRef) (agent.Binding, error) {
				return c.Bind(ctx, o.service, agent.Bind{App: ref.name, Environment: ref.env, Prefix: o.prefix})
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.prefix, "as", "", "put this and _ before each name")
	return cmd
}

func newUnbindCommand(s *session) *cobra.Command {
	o := bindOptions{configOptions: configOptions{session: s}}
	cmd := &cobra.Command{
		Use:               "unbind APP SERVICE",
		Short:             "Take the credentials of a service out of an application",
		Example:           "  hks unbind web db",
		Args:              takes("APP", "SERVICE"),
		ValidArgsFunction: s.completeBinding,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app, o.service = args[0], args[1]
			return o.change(cmd.Context(), "takes "+args[1]+" out", func(ctx context.Context, c *client.Client, ref appRef) (agent.Binding, error) {
				return c.Unbind(ctx, o.service, ref.name, ref.env)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *bindOptions) change(ctx context.Context, said string, do func(context.Context, *client.Client, appRef) (agent.Binding, error)) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		b, err := do(ctx, c, ref)
		if err != nil {
			return err
		}
		if !o.json {
			o.screen.note("%s", strings.Join(b.Names, " "))
		}
		if b.Release == 0 {
			return nil
		}
		release, err := c.Release(ctx, ref.name, ref.env, b.Release)
		if err != nil {
			return err
		}
		return o.watch(ctx, c, ref, release, said)
	})
}

func (s *session) completeBinding(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return s.completeApp(false)(cmd, args, text)
	case 1:
		return s.serviceNames(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// connectGrace is how long a client that was told to end may take.
const connectGrace = 5 * time.Second
