package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type incidentsWatchOptions struct{ *session }

func newIncidentsWatchCommand(s *session) *cobra.Command {
	o := incidentsWatchOptions{session: s}
	return &cobra.Command{
		Use:   "watch",
		Short: "Show incidents as they open and end, until Ctrl-C",
		Example: `  hks incidents watch
  hks incidents watch --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *incidentsWatchOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		incidents, err := c.Incidents(ctx, mostIncidents, false)
		if err != nil {
			return err
		}
		seen := map[int64]string{}
		for _, i := range incidents {
			if i.Open() {
				if err := o.line(i, seen); err != nil {
					return err
				}
			}
			seen[i.ID] = incidentNews(i)
		}
		if len(seen) == 0 && !o.json {
			o.screen.note("nothing is wrong; waiting")
		}
		for e, err := range c.Events(ctx) {
			if ctx.Err() != nil {
				return nil // watching ends with Ctrl-C
			}
			if err != nil {
				return err
			}
			if e.Kind == client.KindReset {
				o.screen.note("some events were missed; hks incidents shows what goes on")
			}
			var i agent.Incident
			if e.Kind != "incident" || json.Unmarshal(e.Object, &i) != nil || i.ID == 0 {
				continue
			}
			if err := o.line(i, seen); err != nil {
				return err
			}
		}
		return nil
	})
}

// incidentNews is the part of an incident whose change is worth a line.
func incidentNews(i agent.Incident) string {
	return fmt.Sprint(incidentState(i), i.Severity, i.Reopened)
}

// line shows an incident, unless what it says was shown before.
func (o *incidentsWatchOptions) line(i agent.Incident, seen map[int64]string) error {
	news := incidentNews(i)
	if seen[i.ID] == news {
		return nil
	}
	seen[i.ID] = news
	if o.json {
		return o.screen.printJSONLine(i)
	}
	style := o.screen.style
	o.screen.print("%s  %s  %s  %s  %s  %s", style.dim(i.UpdatedAt.Local().Format(time.TimeOnly)), style.status(incidentState(i)), style.status(i.Severity),
		clean(i.Subject.String()), clean(i.Title), style.dim(fmt.Sprintf("hks incidents show %d", i.ID)))
	return nil
}
