package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type promoteOptions struct {
	configOptions
	from, to string
}

func newPromoteCommand(s *session) *cobra.Command {
	o := promoteOptions{configOptions: configOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "promote APP",
		Short: "Bring what serves in one environment to another, by digest",
		Long: `Bring what serves in one environment to another: the very same images, by digest, and the
same configuration. Nothing is built again. Hosts, CPU and memory, the values of variables and the
number of instances stay those of the environment it goes to, where it has them already.`,
		Example: `  hks promote web
  hks promote web --from staging --to production`,
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", string(agent.Staging), "the environment that has it")
	f.StringVar(&o.to, "to", string(agent.Production), "the environment that gets it")
	f.BoolVar(&o.noWait, "no-wait", false, "return as soon as the release is accepted")
	f.DurationVar(&o.timeout, "timeout", deployTimeout, "how long to watch; the release itself goes on")
	return cmd
}

func (o *promoteOptions) run(ctx context.Context) error {
	from, err := agent.ParseEnvironment(o.from)
	if err != nil {
		return asUsage(err)
	}
	ref, err := parseRef(o.app, o.to)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Promote(ctx, ref.name, from, ref.env)
		if err != nil {
			return err
		}
		return o.watch(ctx, c, ref, r, fmt.Sprintf("is %s's release %d (%s)", from, r.From, imagesText(r.Spec)))
	})
}
