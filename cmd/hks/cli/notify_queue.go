package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

const mostReports = 500

func newNotifyQueueCommand(s *session) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "List reports that wait or could not be sent",
		Example: `  hks notify queue
  hks notify queue --all`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				reports, err := c.Reports(ctx, mostReports)
				if err != nil {
					return err
				}
				if !all {
					reports = slices.DeleteFunc(reports, func(r agent.ReportDelivery) bool { return r.State == agent.DeliverySent })
				}
				if s.json {
					return s.screen.printJSON(listOf(reports))
				}
				if len(reports) == 0 {
					s.screen.note("no report waits")
					return nil
				}
				t := newTable("ID", "CHANNEL", "STATE", "TRIES", "MADE", "NEXT TRY", "REPORT", "WHY")
				for _, r := range reports {
					next := ""
					if r.State == agent.DeliveryWaiting {
						next = s.until(r.NextAt)
					}
					t.row(strconv.FormatInt(r.ID, 10), r.Channel, s.screen.style.status(r.State), strconv.Itoa(r.Attempts), ago(s.now(), r.CreatedAt), next, shortened(r.Text, 60), r.Failure)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that were sent too")
	return cmd
}

// shortened is a text of at most n characters.
func shortened(text string, n int) string {
	runes := []rune(firstLine(text))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}

func newNotifyRetryCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "retry [CHANNEL]",
		Short: "Try at once what waits or could not be sent",
		Example: `  hks notify retry
  hks notify retry team`,
		Args: takes("[CHANNEL]"), ValidArgsFunction: s.completeChannel,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if name != "" {
					if _, err := s.channel(ctx, c, name); err != nil {
						return err
					}
				}
				n, err := c.RetryReports(ctx, name)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]int{"retried": n})
				}
				if n == 0 {
					s.screen.note("no report waits")
					return nil
				}
				s.screen.print("%s tried again now; how it went: hks notify queue", plural(n, "report"))
				return nil
			})
		},
	}
}
