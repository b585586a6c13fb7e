package cli

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type activityOptions struct {
	*session
	limit  int
	follow bool
	wanted func(agent.Activity) bool // nil: all
}

// searched is how far back activity is looked through for one subject.
const searched = 1000

func newActivityCommand(s *session) *cobra.Command {
	o := activityOptions{session: s}
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "Show what happened: who did what, and what changed by itself",
		Example: `  hks activity
  hks activity -f`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags(cmd)
	return cmd
}

func (o *activityOptions) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.limit, "limit", 30, "how many to show")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what happens from now on")
}

func (o *activityOptions) run(ctx context.Context) error {
	if o.limit < 1 || o.limit > searched {
		return usagef("give a number from 1 to 1000", "--limit %d is out of range", o.limit)
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		list, err := o.recent(ctx, c)
		if err != nil {
			return err
		}
		if o.follow {
			return o.goOn(ctx, c, list)
		}
		if o.json {
			return o.screen.printJSON(listOf(list))
		}
		if len(list) == 0 {
			o.screen.note("nothing happened yet")
			return nil
		}
		t := newTable("WHEN", "SUBJECT", "WHAT", "BY")
		for _, a := range list {
			t.row(ago(o.now(), a.Time), a.Subject, o.painted(a), a.By)
		}
		return t.write(o.screen.out, o.screen.style)
	})
}

// recent returns the wanted activity, the newest first.
func (o *activityOptions) recent(ctx context.Context, c *client.Client) ([]agent.Activity, error) {
	limit := o.limit
	if o.wanted != nil {
		limit = searched
	}
	list, err := c.Activity(ctx, limit)
	if err != nil {
		return nil, err
	}
	if o.wanted != nil {
		list = slices.DeleteFunc(list, func(a agent.Activity) bool { return !o.wanted(a) })
	}
	return list[:min(len(list), o.limit)], nil
}

func (o *activityOptions) goOn(ctx context.Context, c *client.Client, recent []agent.Activity) error {
	for _, a := range slices.Backward(recent) {
		if err := o.line(a); err != nil {
			return err
		}
	}
	for e, err := range c.Events(ctx) {
		if ctx.Err() != nil {
			return nil // following ends with Ctrl-C
		}
		if err != nil {
			return err
		}
		if e.Kind == client.KindReset {
			o.screen.note("some events were missed; hks activity shows them")
		}
		var a agent.Activity
		if e.Kind != "activity" || json.Unmarshal(e.Object, &a) != nil || o.wanted != nil && !o.wanted(a) {
			continue
		}
		if err := o.line(a); err != nil {
			return err
		}
	}
	return nil
}

func (o *activityOptions) line(a agent.Activity) error {
	if o.json {
		return o.screen.printJSONLine(a)
	}
	by := ""
	if a.By != "" {
		by = " (" + clean(a.By) + ")"
	}
	o.screen.print("%s  %s  %s%s", o.screen.style.dim(a.Time.Local().Format(time.TimeOnly)), clean(a.Subject), o.painted(a), by)
	return nil
}

func (o *activityOptions) painted(a agent.Activity) string {
	switch a.Level {
	case "error":
		return o.screen.style.red(clean(a.Message))
	case "warning":
		return o.screen.style.yellow(clean(a.Message))
	}
	return clean(a.Message)
}
