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
		Short: "Give an application or a function the credentials of a service",
		Long: `Give an application the credentials of a service: DATABASE_URL and its parts for
PostgreSQL, REDIS_URL for Valkey. They come as secrets, by a release. A function is
named function/NAME, and its next call has them.`,
		Example: `  hks bind web db
  hks bind function/daily-summary-email db
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
		Short:             "Take the credentials of a service out of an application or a function",
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
	ref, err := o.bound()
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
		if b.Release == 0 || ref.env == agent.OfFunction {
			return nil // a function's next call has them
		}
		release, err := c.Release(ctx, ref.name, ref.env, b.Release)
		if err != nil {
			return err
		}
		return o.watch(ctx, c, ref, release, said)
	})
}

// bound is what is bound: an app, or function/NAME.
func (o *bindOptions) bound() (appRef, error) {
	name, isFunction := strings.CutPrefix(o.app, string(agent.OfFunction)+"/")
	if !isFunction {
		return parseRef(o.app, o.environment)
	}
	if o.environment != "" {
		return appRef{}, usagef("leave --environment out", "a function has no environments")
	}
	if err := agent.ValidateName("function", name); err != nil {
		return appRef{}, asUsage(err)
	}
	return appRef{name: name, env: agent.OfFunction}, nil
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
