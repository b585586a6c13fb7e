package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newAuditCommand(s *session) *cobra.Command {
	q := agent.AuditQuery{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who asked for which change, and what came of it",
		Long: `Show who asked for which change, and what came of it: every request that changes
something, logins and sessions into instances. What was sent is not in it. Entries are
kept for a year, 50,000 at most.`,
		Example: `  hks audit
  hks audit --token laptop --text releases
  hks audit --failed`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 || q.Limit > searched {
				return usagef("give a number from 1 to 1000", "--limit %d is out of range", q.Limit)
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				entries, err := c.Audit(ctx, q)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(entries))
				}
				return s.showAudit(entries)
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&q.Limit, "limit", 30, "how many to show")
	f.Int64Var(&q.Before, "before", 0, "older than the entry of this number")
	f.StringVar(&q.Who, "who", "", "only of owner, root or node/NAME")
	f.StringVar(&q.Token, "token", "", "only of the API token with this name")
	f.StringVar(&q.Text, "text", "", "only with this in the request or its target, such as releases or app=web")
	f.BoolVar(&q.Failed, "failed", false, "only what was refused or failed")
	return cmd
}

func (s *session) showAudit(entries []agent.AuditEntry) error {
	if len(entries) == 0 {
		s.screen.note("there is no such entry")
		return nil
	}
	t := newTable("ENTRY", "WHEN", "WHO", "FROM", "REQUEST", "TARGET", "OUTCOME")
	for _, e := range entries {
		outcome := strconv.Itoa(e.Status)
		if e.Code != "" {
			outcome = s.screen.style.red(outcome + " " + string(e.Code))
		}
		t.row(strconv.FormatInt(e.ID, 10), ago(s.now(), e.Time), auditWho(e), auditFrom(e), e.Method+" "+e.Route, clean(e.Target), outcome)
	}
	return t.write(s.screen.out, s.screen.style)
}

// auditWho names who it was, with the token.
func auditWho(e agent.AuditEntry) string {
	switch {
	case e.Who == "":
		return "nobody known"
	case e.Token != "":
		return e.Who + " (token " + clean(e.Token) + ")"
	case e.Via != "":
		return e.Who + " (" + e.Via + ")"
	}
	return e.Who
}

func auditFrom(e agent.AuditEntry) string {
	if e.Address == "" {
		return "the machine"
	}
	return e.Address
}
