package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// mostIncidents is as many as one answer holds.
const mostIncidents = 1000

func newIncidentsCommand(s *session) *cobra.Command {
	o := incidentsListOptions{session: s}
	cmd := &cobra.Command{
		Use:     "incidents",
		Aliases: []string{"incident"},
		Short:   "See what went wrong, why, and what to do about it",
		Long: `See what went wrong, why, and what to do about it. An incident is one trouble of one
thing, such as a memory leak of an application, from when it was seen to its end. It holds the
numbers that show it, what was ruled out, the release just before, and ways out.`,
		Example: `  hks incidents
  hks incidents show 12
  hks incidents silence 12 --for 24h`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags(cmd)
	cmd.AddCommand(newIncidentsListCommand(s), newIncidentsShowCommand(s), newIncidentsWatchCommand(s),
		newIncidentsChangeCommand(s, "ack", "Say that you know of an incident: no more reminders", "acknowledged", (*client.Client).AckIncident),
		newIncidentsChangeCommand(s, "resolve", "End an incident by hand; it opens again when the trouble comes back", "resolved", (*client.Client).ResolveIncident),
		newIncidentsChangeCommand(s, "accept", "Say that this growth of memory is meant and no leak; it is remembered", "accepted: it is no leak", (*client.Client).AcceptIncident),
		newIncidentsSilenceCommand(s), newIncidentsSilencesCommand(s), newIncidentsUnsilenceCommand(s))
	return cmd
}

func newIncidentsChangeCommand(s *session, verb, short, done string, change func(*client.Client, context.Context, int64) (agent.Incident, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Example: "  hks incidents " + verb + " 12",
		Args: takes("ID"), ValidArgsFunction: s.completeIncident,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseIncident(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				incident, err := change(c, ctx, id)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(incident)
				}
				s.screen.print("incident %d (%s) is %s", incident.ID, clean(incident.Title), done)
				return nil
			})
		},
	}
}

func parseIncident(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("give its number; hks incidents lists them", "%q is not an incident", arg)
	}
	return id, nil
}

// completeIncident offers the incidents that go on; nothing when anything
// fails.
func (s *session) completeIncident(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	incidents, err := c.Incidents(ctx, 100, false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, i := range incidents {
		if i.Open() || cmd.Name() == "show" {
			ids = append(ids, fmt.Sprintf("%d\t%s", i.ID, i.Title))
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// incidentState is how an incident stands, in a word.
func incidentState(i agent.Incident) string {
	switch {
	case i.Status != agent.IncidentFiring:
		return string(i.Status)
	case !i.AckedAt.IsZero():
		return "acknowledged"
	}
	return "open"
}
