package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newCronListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List cron jobs", Example: "  hks cron list", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				jobs, err := c.CronJobs(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(jobs))
				}
				t := newTable("JOB", "SCHEDULE", "ZONE", "RUNS", "NEXT", "LAST", "WHEN")
				for _, j := range jobs {
					next, last, when := "paused", "", ""
					if len(j.Next) > 0 {
						next = zoned(j.Next[0], j.TimeZone)
					}
					if j.Last != nil {
						last, when = s.screen.style.status(string(j.Last.Status)), ago(s.now(), j.Last.Slot)
					}
					t.row(j.Name, j.Schedule, j.TimeZone, targetText(j.Target), next, last, when)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

// zoned writes a time as the clocks of a zone show it.
func zoned(at time.Time, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil { // this machine does not know the zone
		location = time.UTC
	}
	return at.In(location).Format("Mon 2006-01-02 15:04 MST")
}

func newCronShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show JOB", Short: "Show a cron job and its next times", Example: "  hks cron show nightly",
		Args: takes("JOB"), ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				job, err := c.CronJob(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showCron(job)
			})
		},
	}
}

func (s *session) showCron(j agent.CronJob) error {
	if s.json {
		return s.screen.printJSON(j)
	}
	style := s.screen.style
	f := facts{}
	f.add("Cron job", style.bold(j.Name))
	f.add("Schedule", j.Schedule+"  ("+j.TimeZone+")")
	f.add("Runs", targetText(j.Target))
	if j.Paused {
		f.add("Paused", "resume it with: hks cron resume "+j.Name)
	}
	for _, next := range j.Next {
		f.add("Next", zoned(next, j.TimeZone))
	}
	f.add("Overlap", j.Concurrency)
	f.add("Catch up", j.CatchUp+", within "+j.Deadline.String())
	f.add("Timeout", j.Timeout.String())
	if j.Last != nil {
		f.add("Last", string(j.Last.Status)+"  "+ago(s.now(), j.Last.Slot)+"  "+j.Last.Message)
	}
	return f.write(s.screen.out, style)
}

func newCronNextCommand(s *session) *cobra.Command {
	var zone string
	cmd := &cobra.Command{
		Use: "next SCHEDULE", Short: "Show when a schedule is due next", Example: `  hks cron next "0 9 * * 1-5" --tz Europe/Vienna`,
		Args: takes("SCHEDULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				times, err := c.PreviewCron(ctx, args[0], zone)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(times))
				}
				for _, at := range times {
					s.screen.print("%s", zoned(at, zone))
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&zone, "tz", "UTC", "time zone of the schedule")
	return cmd
}
