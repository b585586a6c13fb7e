package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type cronOptions struct {
	*session
	job agent.CronJob
	app string
}

func (o *cronOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.job.Schedule, "schedule", "", `five fields such as "0 9 * * 1-5", or @hourly, @daily, @every 90m`)
	f.StringVar(&o.job.TimeZone, "tz", "UTC", "time zone of the schedule, such as Europe/Vienna")
	f.StringVar(&o.job.Target.Image, "image", "", "run a container of this image")
	f.StringVar(&o.app, "app", "", "run a command with the image and environment of this app, such as web/production")
	f.StringVar(&o.job.Target.Component, "component", "", "of the app; default: its main one")
	f.StringVar(&o.job.Target.Function, "function", "", "call this function")
	f.StringVar(&o.job.Target.Payload, "payload", "", "JSON for the function")
	f.StringVar(&o.job.Concurrency, "concurrency", agent.ConcurrencyForbid, "when the run before is still going: forbid, allow, replace, queue")
	f.StringVar(&o.job.CatchUp, "catch-up", agent.CatchUpOne, "of runs missed while the appliance was away: none, one, all")
	f.DurationVar(&o.job.Deadline, "deadline", time.Hour, "how late a missed run may still be made up for")
	f.DurationVar(&o.job.Timeout, "timeout", 10*time.Minute, "a run that takes longer is stopped")
}

// complete takes over what the flags do not say as it is.
func (o *cronOptions) complete(args []string) error {
	o.job.Name, o.job.Target.Command = args[0], args[1:]
	if o.app == "" {
		return nil
	}
	ref, err := parseRef(o.app, "")
	if err != nil {
		return asUsage(err)
	}
	o.job.Target.App, o.job.Target.Environment = ref.name, ref.env
	return nil
}

func newCronCreateCommand(s *session) *cobra.Command {
	o := cronOptions{session: s}
	cmd := &cobra.Command{
		Use:   "create JOB [COMMAND...]",
		Short: "Make a cron job",
		Example: `  hks cron create nightly --schedule "0 3 * * *" --tz Europe/Vienna --app shop/production -- node clean.js
  hks cron create ping --schedule "*/5 * * * *" --image tools:1 -- /ping
  hks cron create report --schedule "0 9 * * 1-5" --function daily-summary-email`,
		Args: takes("JOB", "[COMMAND]..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.job.Schedule == "" {
				return usagef(`hks cron create `+args[0]+` --schedule "0 9 * * *" ...`, "--schedule is missing")
			}
			if err := o.complete(args); err != nil {
				return err
			}
			return o.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				job, err := c.CreateCronJob(ctx, o.job)
				if err != nil {
					return err
				}
				return o.showCron(job)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

func newCronEditCommand(s *session) *cobra.Command {
	o := cronOptions{session: s}
	cmd := &cobra.Command{
		Use:               "edit JOB [COMMAND...]",
		Short:             "Change a cron job; what is not named stays as it is",
		Example:           `  hks cron edit nightly --schedule "30 4 * * *"`,
		Args:              takes("JOB", "[COMMAND]..."),
		ValidArgsFunction: s.completeCron,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(args); err != nil {
				return err
			}
			return o.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				old, err := c.CronJob(ctx, args[0])
				if err != nil {
					return err
				}
				job, err := c.EditCronJob(ctx, o.over(old, cmd.Flags().Changed))
				if err != nil {
					return err
				}
				return o.showCron(job)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// over lays what was named over a job as it is.
func (o *cronOptions) over(job agent.CronJob, named func(string) bool) agent.CronJob {
	if named("image") || named("app") || named("function") {
		command := job.Target.Command
		job.Target = o.job.Target
		if len(job.Target.Command) == 0 && !named("function") {
			job.Target.Command = command
		}
	} else if len(o.job.Target.Command) > 0 {
		job.Target.Command = o.job.Target.Command
	}
	for flag, set := range map[string]func(){
		"schedule": func() { job.Schedule = o.job.Schedule }, "tz": func() { job.TimeZone = o.job.TimeZone },
		"component": func() { job.Target.Component = o.job.Target.Component }, "payload": func() { job.Target.Payload = o.job.Target.Payload },
		"concurrency": func() { job.Concurrency = o.job.Concurrency }, "catch-up": func() { job.CatchUp = o.job.CatchUp },
		"deadline": func() { job.Deadline = o.job.Deadline }, "timeout": func() { job.Timeout = o.job.Timeout },
	} {
		if named(flag) {
			set()
		}
	}
	return job
}
