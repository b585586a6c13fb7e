package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newCronCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cron",
		Short: "Run functions and commands at set times",
		Long: `Run functions and commands at set times. A cron expression has five fields (minute, hour, day
of month, month, day of week) and a time zone of its own. Each due time is in a ledger before
anything runs: none is lost or run twice.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newCronCreateCommand(s), newCronEditCommand(s), newCronListCommand(s), newCronShowCommand(s), newCronNextCommand(s),
		newCronChangeCommand(s, "pause", "Keep a cron job from running until it is resumed", (*client.Client).PauseCronJob),
		newCronChangeCommand(s, "resume", "Let a paused cron job run again", (*client.Client).ResumeCronJob),
		newCronRunCommand(s), newCronHistoryCommand(s), newCronLogsCommand(s), newCronCancelCommand(s), newCronDeleteCommand(s))
	return cmd
}

func newCronChangeCommand(s *session, verb, short string, change func(*client.Client, context.Context, string) (agent.CronJob, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " JOB", Short: short, Example: "  hks cron " + verb + " nightly",
		Args: takes("JOB"), ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				job, err := change(c, ctx, args[0])
				if err != nil {
					return err
				}
				return s.showCron(job)
			})
		},
	}
}

// completeCron offers the names of cron jobs; nothing when anything fails.
func (s *session) completeCron(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	jobs, err := c.CronJobs(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, job := range jobs {
		names = append(names, job.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// targetText is what a cron job runs, in short.
func targetText(t agent.CronTarget) string {
	command := strings.Join(t.Command, " ")
	switch {
	case t.Function != "":
		return "function " + t.Function
	case t.App != "":
		return strings.TrimSpace("app " + t.App + "/" + string(t.Environment) + " " + command)
	}
	return strings.TrimSpace("image " + t.Image + " " + command)
}
