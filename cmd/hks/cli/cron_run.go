package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// cronPoll is how often a run is looked at while one waits.
const cronPoll = 500 * time.Millisecond

func newCronRunCommand(s *session) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use: "run JOB", Short: "Run a cron job now, and wait for its end", Example: "  hks cron run nightly",
		Args: takes("JOB"), ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				run, err := c.RunCronJob(ctx, args[0])
				if err != nil {
					return err
				}
				if noWait {
					return s.showCronRun(run)
				}
				return s.followCronRun(ctx, c, run)
			})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return as soon as the run is accepted")
	return cmd
}

// followCronRun waits for a run's end and prints what it printed.
func (s *session) followCronRun(ctx context.Context, c *client.Client, run agent.CronRun) error {
	poll := time.NewTicker(cronPoll)
	defer poll.Stop()
	for !run.Status.Done() {
		select {
		case <-ctx.Done():
			return agent.Errorf(agent.CodeConflict, "see how it ends with: hks cron history "+run.Job, "no longer watching; run %d goes on by itself", run.ID)
		case <-poll.C:
		}
		next, err := c.CronRun(ctx, run.ID)
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if err == nil {
			run = next
		}
	}
	if s.json {
		if err := s.screen.printJSON(run); err != nil {
			return err
		}
	} else if err := s.printCronOutput(ctx, c, run.ID); err != nil {
		return err
	}
	if run.Status != agent.RunSucceeded {
		return agent.Errorf(agent.CodeConflict, "see what it printed with: hks cron logs "+strconv.FormatInt(run.ID, 10), "run %d of %s %s: %s", run.ID, run.Job, run.Status, run.Message)
	}
	if !s.json {
		s.screen.note("run %d of %s succeeded", run.ID, run.Job)
	}
	return nil
}

func (s *session) printCronOutput(ctx context.Context, c *client.Client, id int64) error {
	output, err := c.CronOutput(ctx, id)
	if err != nil {
		return err
	}
	for _, line := range splitLines(output) {
		s.screen.print("%s", clean(line))
	}
	return nil
}

func (s *session) showCronRun(r agent.CronRun) error {
	if s.json {
		return s.screen.printJSON(r)
	}
	s.screen.print("run %d of %s is %s", r.ID, r.Job, r.Status)
	return nil
}

func newCronHistoryCommand(s *session) *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		Use: "history JOB", Short: "List the runs of a cron job, the newest first", Example: "  hks cron history nightly",
		Args: takes("JOB"), ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				runs, err := c.CronRuns(ctx, args[0], limit)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(runs))
				}
				t := newTable("RUN", "FOR", "STATUS", "EXIT", "TOOK", "BY", "WHY")
				for _, r := range runs {
					exit, took, by := "", "", r.By
					if r.ExitCode != nil {
						exit = strconv.Itoa(*r.ExitCode)
					}
					if !r.StartedAt.IsZero() && !r.FinishedAt.IsZero() {
						took = r.FinishedAt.Sub(r.StartedAt).Round(buildPrecision).String()
					}
					if !r.Manual {
						by = "schedule"
					}
					t.row(strconv.FormatInt(r.ID, 10), r.Slot.Local().Format(time.DateTime), s.screen.style.status(string(r.Status)), exit, took, by, firstLine(r.Message))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, at most 200")
	return cmd
}

func newCronLogsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "logs RUN", Short: "Show what a run printed", Example: "  hks cron logs 42", Args: takes("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseCronRun(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error { return s.printCronOutput(ctx, c, id) })
		},
	}
}

func newCronCancelCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "cancel RUN", Short: "Stop a run that is going or waits", Example: "  hks cron cancel 42", Args: takes("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseCronRun(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				run, err := c.CancelCronRun(ctx, id)
				if err != nil {
					return err
				}
				return s.showCronRun(run)
			})
		},
	}
}

func parseCronRun(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("give its number: hks cron history JOB shows them", "%q is not a run", text)
	}
	return id, nil
}

func newCronDeleteCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete JOB", Short: "Delete a cron job and its history", Example: "  hks cron delete nightly --yes",
		Args: takes("JOB"), ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if _, err := c.CronJob(ctx, name); err != nil {
					return err
				}
				if !yes && !s.screen.inTTY {
					return usagef("if you mean it: hks cron delete "+name+" --yes", "deleting %s asks for confirmation, and there is no terminal to ask on", name)
				}
				if !yes {
					answer, err := s.screen.ask("type " + name + " to delete it and its history: ")
					if err != nil {
						return err
					}
					if answer != name {
						return agent.Errorf(agent.CodeConflict, "", "nothing was deleted: the name does not match")
					}
				}
				if err := c.DeleteCronJob(ctx, name); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]string{"deleted": name})
				}
				s.screen.print("%s is deleted", name)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// splitLines are the lines of an output, without an empty one at the end.
func splitLines(output []byte) []string {
	text := strings.TrimSuffix(string(output), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
