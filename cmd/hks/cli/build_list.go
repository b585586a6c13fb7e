package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newBuildListCommand(s *session) *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "list [APP]",
		Short: "List builds, the newest first",
		Example: `  hks build list
  hks build list shop/production`,
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
				builds, err := c.Builds(ctx, ref.name, ref.env)
				if err != nil {
					return err
				}
				return s.showBuilds(builds)
			})
		},
	}
	environmentFlag(cmd, &environment)
	return cmd
}

func (s *session) showBuilds(builds []agent.Build) error {
	if s.json {
		return s.screen.printJSON(listOf(builds))
	}
	t := newTable("BUILD", "APP", "STATUS", "RELEASE", "BY", "WHEN", "TOOK", "WHY")
	for _, b := range builds {
		why, release, took := "", "", ""
		if b.Failure != nil {
			why = firstLine(b.Failure.Message)
		}
		if b.Release > 0 {
			release = strconv.Itoa(b.Release)
		}
		if b.Status.Done() && !b.StartedAt.IsZero() {
			took = b.FinishedAt.Sub(b.StartedAt).Round(buildPrecision).String()
		}
		t.row(strconv.FormatInt(b.ID, 10), b.App+"/"+string(b.Environment), s.screen.style.status(string(b.Status)), release, b.By, ago(s.now(), b.CreatedAt), took, why)
	}
	return t.write(s.screen.out, s.screen.style)
}
