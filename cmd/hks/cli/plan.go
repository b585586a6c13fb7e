package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// How long a change of the plan is followed, and how often it is looked at.
const (
	planTimeout = 2 * time.Minute
	planPoll    = 500 * time.Millisecond
)

func newPlanCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show the plan and what is used of it, upgrade, downgrade",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(&cobra.Command{
		Use: "show", Short: "Show the plan and what is used of it", Example: "  hks plan show", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				state, err := c.Plan(ctx)
				if err != nil {
					return err
				}
				return s.showPlan(state)
			})
		},
	}, newPlanChangeCommand(s, "upgrade", "pro"), newPlanChangeCommand(s, "downgrade", "hobby"))
	return cmd
}

type planChangeOptions struct {
	*session
	verb, plan string
	yes        bool
}

func newPlanChangeCommand(s *session, verb, usual string) *cobra.Command {
	o := planChangeOptions{session: s, verb: verb}
	cmd := &cobra.Command{
		Use:     verb + " [PLAN]",
		Short:   strings.ToUpper(verb[:1]) + verb[1:] + " to another plan; nothing that runs is interrupted",
		Example: "  hks plan " + verb + " " + usual + " --yes",
		Args:    takes("[PLAN]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.plan = usual
			if len(args) > 0 {
				o.plan = args[0]
			}
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func (o *planChangeOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		before, err := c.Plan(ctx)
		if err != nil {
			return err
		}
		if before.Plan.Name != o.plan {
			if err := o.confirm(before.Plan.Name); err != nil {
				return err
			}
		}
		state, err := c.ChangePlan(ctx, o.plan)
		if err != nil {
			return err
		}
		if state, err = o.follow(ctx, c, state); err != nil {
			return err
		}
		return o.showPlan(state)
	})
}

func (o *planChangeOptions) confirm(from string) error {
	if o.yes {
		return nil
	}
	if !o.screen.inTTY {
		return usagef("if you mean it: hks plan "+o.verb+" "+o.plan+" --yes", "changing the plan asks for confirmation, and there is no terminal to ask on")
	}
	answer, err := o.screen.ask(fmt.Sprintf("change the plan from %s to %s? [y/N] ", from, o.plan))
	if err != nil {
		return err
	}
	if !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		return agent.Errorf(agent.CodeConflict, "", "the plan stays %s", from)
	}
	return nil
}

// follow waits until the cluster holds the new limits.
func (o *planChangeOptions) follow(ctx context.Context, c *client.Client, state agent.PlanState) (agent.PlanState, error) {
	limited, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	poll := time.NewTicker(planPoll)
	defer poll.Stop()
	for state.Applying {
		select {
		case <-limited.Done():
			return state, agent.Errorf(agent.CodeClusterAway, "see how far it is with: hks plan show", "the plan is %s, but the cluster does not hold its limits yet: %s; it goes on by itself", state.Plan.Name, state.Reason)
		case <-poll.C:
		}
		next, err := c.Plan(limited)
		if err == nil {
			state = next
		}
	}
	return state, nil
}

func (s *session) showPlan(state agent.PlanState) error {
	if s.json {
		return s.screen.printJSON(state)
	}
	f := facts{}
	f.add("Plan", s.screen.style.bold(state.Plan.Name))
	if state.Applying {
		f.add("Applying", "its limits are on their way to the cluster; "+state.Reason)
	}
	if err := f.write(s.screen.out, s.screen.style); err != nil {
		return err
	}
	t := newTable("LIMIT", "USED", "OF")
	for _, usage := range state.Usage {
		t.row(usage.Name, planAmount(usage.Used, usage.Unit), planAmount(usage.Limit, usage.Unit))
	}
	return t.write(s.screen.out, s.screen.style)
}

func planAmount(n int64, unit string) string {
	switch {
	case n == agent.Unlimited:
		return "no limit"
	case unit == "bytes":
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprint(n)
}
