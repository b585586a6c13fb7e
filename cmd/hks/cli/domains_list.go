package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newDomainsListCommand(s *session) *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "list [APP]",
		Short: "List domains and how their certificates are",
		Example: `  hks domains list
  hks domains list web/production --json`,
		Args:              takes("[APP]"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ref appRef
			var err error
			switch {
			case len(args) > 0:
				ref, err = parseRef(args[0], environment)
			case environment != "":
				ref.env, err = agent.ParseEnvironment(environment)
			}
			if err != nil {
				return asUsage(err)
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				domains, err := c.Domains(ctx, ref.name, ref.env)
				if err != nil {
					return err
				}
				return s.showDomains(domains)
			})
		},
	}
	environmentFlag(cmd, &environment)
	return cmd
}

func (s *session) showDomains(domains []agent.Domain) error {
	if s.json {
		return s.screen.printJSON(listOf(domains))
	}
	if len(domains) == 0 {
		s.screen.note("there are no domains yet; try: hks domains add APP www.example.com")
		return nil
	}
	t := newTable("DOMAIN", "APP", "STATUS", "UNTIL", "NEXT TRY", "WHY")
	for _, d := range domains {
		until := ""
		if d.Certificate.Source != "" {
			until = d.Certificate.ValidUntil.Local().Format(time.DateOnly)
		}
		to := appRef{d.App, d.Environment}.String()
		if d.Component != "" {
			to += " " + d.Component
		}
		t.row(s.screen.style.bold(d.Name), to, s.screen.style.status(string(d.Status)), until, s.until(d.NextTry), firstLine(d.Reason))
	}
	return t.write(s.screen.out, s.screen.style)
}
