package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type incidentsListOptions struct {
	*session
	all     bool
	pending bool
}

func newIncidentsListCommand(s *session) *cobra.Command {
	o := incidentsListOptions{session: s}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the incidents that go on",
		Example: `  hks incidents list
  hks incidents list --all --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags(cmd)
	return cmd
}

func (o *incidentsListOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.all, "all", false, "those that are over too")
	cmd.Flags().BoolVar(&o.pending, "pending", false, "what was seen, but not yet for long enough to say so, too")
}

func (o *incidentsListOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		incidents, err := c.Incidents(ctx, mostIncidents, o.pending)
		if err != nil {
			return err
		}
		if !o.all {
			incidents = slices.DeleteFunc(incidents, func(i agent.Incident) bool { return !i.Open() })
		}
		if o.json {
			return o.screen.printJSON(listOf(incidents))
		}
		if len(incidents) == 0 && o.all {
			o.screen.note("there has been no incident")
			return nil
		}
		if len(incidents) == 0 {
			o.screen.note("nothing is wrong; what is over: hks incidents --all")
			return nil
		}
		t := newTable("ID", "SEVERITY", "STATE", "SUBJECT", "SINCE", "WHAT")
		for _, i := range incidents {
			id := "-" // a pending one has none yet
			if i.ID > 0 {
				id = strconv.FormatInt(i.ID, 10)
			}
			t.row(id, o.screen.style.status(i.Severity), o.screen.style.status(incidentState(i)), i.Subject.String(), ago(o.now(), i.Since), i.Title)
		}
		return t.write(o.screen.out, o.screen.style)
	})
}
