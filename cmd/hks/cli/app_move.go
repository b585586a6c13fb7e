package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appMoveOptions struct {
	configOptions
	to   string
	plan bool
	yes  bool
}

func newAppMoveCommand(s *session) *cobra.Command {
	o := appMoveOptions{configOptions: configOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "move APP",
		Short: "Move an application to a dedicated node, or back to the shared pool",
		Long: `Move an application to a dedicated node, or back to the shared pool. It shows what will
happen and asks. A move is a release: new instances are ready and served before the old ones end,
and when they don't get ready the old ones stay.`,
		Example: `  hks app move web -e production --to dedicated
  hks app move web/production --to prod-1 --plan
  hks app move web/production --to shared --yes`,
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "shared, dedicated, or the name of a dedicated node")
	cmd.Flags().BoolVar(&o.plan, "plan", false, "only show what would happen")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *appMoveOptions) run(ctx context.Context) error {
	if o.to == "" {
		return usagef("hks app move "+o.app+" --to dedicated", "--to is missing")
	}
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		plan, err := c.PlanMove(ctx, ref.name, ref.env, o.to)
		if err != nil {
			return err
		}
		if o.plan && o.json {
			return o.screen.printJSON(plan)
		}
		if !o.json {
			showMove(o.screen, ref.String(), plan)
		}
		if o.plan {
			return nil
		}
		if plan.Fits && plan.From != plan.To {
			if err := confirmMove(o.screen, o.yes, ref.String(), "hks app move "+ref.arg()+" --to "+o.to); err != nil {
				return err
			}
		}
		r, err := c.Move(ctx, ref.name, ref.env, o.to)
		if err != nil {
			return err
		}
		return o.watch(ctx, c, ref, r, "moves to "+plan.To)
	})
}

// showMove shows what a move of something would do.
func showMove(to *screen, what string, plan agent.MovePlan) {
	to.note("%s moves from %s to %s (%s)", what, clean(plan.From), clean(plan.To), clean(strings.Join(plan.Nodes, ", ")))
	to.note("  needs  %s", amountsText(plan.Needs))
	to.note("  free   %s", amountsText(plan.Free))
	if !plan.Fits {
		to.note("  does not fit: %s", clean(plan.Reason))
		return
	}
	for i, line := range plan.Expected {
		to.note("  %d. %s", i+1, clean(line))
	}
}

func amountsText(a agent.Amounts) string {
	return fmt.Sprintf("%d millicores, %d MiB", a.CPU, a.Memory>>20)
}

// confirmMove asks before a move; again is the command that would be run.
func confirmMove(on *screen, yes bool, what, again string) error {
	if yes {
		return nil
	}
	if !on.inTTY {
		return usagef("if you mean it: "+again+" --yes", "moving %s asks for confirmation, and there is no terminal to ask on", what)
	}
	answer, err := on.ask("move it? [y/N] ")
	if err != nil {
		return err
	}
	if !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		return agent.Errorf(agent.CodeConflict, "", "nothing was moved")
	}
	return nil
}
