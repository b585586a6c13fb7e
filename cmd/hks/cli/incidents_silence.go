package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type incidentsSilenceOptions struct {
	*session
	silence client.NewSilence
}

func newIncidentsSilenceCommand(s *session) *cobra.Command {
	o := incidentsSilenceOptions{session: s}
	cmd := &cobra.Command{
		Use:   "silence [ID]",
		Short: "Send no reports for a while: of an incident, or of a subject or a kind of trouble",
		Long: `Send no reports for a while: of an incident, or of a subject or a kind of trouble.
Incidents are still opened, and shown here and on the screens.`,
		Example: `  hks incidents silence 12 --for 24h --reason "mended on Monday"
  hks incidents silence --subject "app web/staging" --for 7d
  hks incidents silence --detector log-novelty --for 1h`,
		Args:              takes("[ID]"),
		ValidArgsFunction: s.completeIncident,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				id, err := parseIncident(args[0])
				if err != nil {
					return err
				}
				o.silence.Incident = id
			}
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.silence.Subject, "subject", "", `what it is about, such as "app web/production"`)
	cmd.Flags().StringVar(&o.silence.Detector, "detector", "", "the kind of trouble, such as memory-leak")
	cmd.Flags().StringVar(&o.silence.Reason, "reason", "", "why, for later")
	whileFlag(cmd, &o.silence.For, "for", 24*time.Hour, "for how long, such as 90m, 24h or 7d; up to 30d")
	return cmd
}

func (o *incidentsSilenceOptions) run(ctx context.Context) error {
	named := o.silence.Subject != "" || o.silence.Detector != ""
	switch {
	case o.silence.Incident == 0 && !named:
		return usagef("hks incidents silence ID, or --subject or --detector", "what to be silent about is missing")
	case o.silence.Incident > 0 && named:
		return usagef("give the incident, or --subject and --detector", "an incident says already what it is about")
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		silence, err := c.Silence(ctx, o.silence)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(silence)
		}
		o.screen.print("no reports of %s until %s; end it: hks incidents unsilence %d", clean(silenceText(silence)), silence.Until.Local().Format(time.DateTime), silence.ID)
		return nil
	})
}

// silenceText says what a silence is about.
func silenceText(s agent.Silence) string {
	switch {
	case s.Fingerprint != "": // app/web/production|workload|container|memory-leak
		parts := strings.Split(s.Fingerprint, "|")
		return parts[len(parts)-1] + " of " + parts[0]
	case s.Subject != "" && s.Detector != "":
		return s.Detector + " of " + s.Subject
	case s.Subject != "":
		return s.Subject
	}
	return s.Detector
}

func newIncidentsSilencesCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "silences", Short: "List what no reports are sent of", Example: "  hks incidents silences", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				silences, err := c.Silences(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(silences))
				}
				if len(silences) == 0 {
					s.screen.note("nothing is silenced")
					return nil
				}
				t := newTable("ID", "WHAT", "ENDS", "BY", "REASON")
				for _, one := range silences {
					t.row(strconv.FormatInt(one.ID, 10), silenceText(one), "in "+span(one.Until.Sub(s.now())), one.By, one.Reason)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newIncidentsUnsilenceCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "unsilence ID", Short: "End a silence: reports are sent again", Example: "  hks incidents unsilence 3",
		Args: takes("ID"), ValidArgsFunction: s.completeSilence,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("give its number; hks incidents silences lists them", "%q is not a silence", args[0])
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.Unsilence(ctx, id); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]int64{"ended": id})
				}
				s.screen.print("silence %d has ended", id)
				return nil
			})
		},
	}
}

// completeSilence offers the silences; nothing when anything fails.
func (s *session) completeSilence(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	silences, err := c.Silences(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, one := range silences {
		ids = append(ids, fmt.Sprintf("%d\t%s", one.ID, silenceText(one)))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
