package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// runPoll is the time between two looks at a run that waits for its build.
const runPoll = time.Second

func newPipelineRunCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "run APP", Short: "Run the newest commit of the branch", Example: "  hks pipeline run shop", Args: takes("APP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.RunPipeline(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showRun(r)
			})
		},
	}
}

func (s *session) runCommand(use, short string, change func(ctx context.Context, c *client.Client, id int64) (agent.Run, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " RUN", Short: short, Example: "  hks pipeline " + use + " 12", Args: takes("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := change(ctx, c, id)
				if err != nil {
					return err
				}
				return s.showRun(r)
			})
		},
	}
}

func newPipelineCancelCommand(s *session) *cobra.Command {
	return s.runCommand("cancel", "Stop a run and its build", func(ctx context.Context, c *client.Client, id int64) (agent.Run, error) { return c.CancelRun(ctx, id) })
}

func newPipelineRerunCommand(s *session) *cobra.Command {
	var failed bool
	cmd := s.runCommand("rerun", "Run the commit of an earlier run again", func(ctx context.Context, c *client.Client, id int64) (agent.Run, error) {
		return c.RerunRun(ctx, id, failed)
	})
	cmd.Flags().BoolVar(&failed, "failed", false, "from the step that failed: a release that failed is made again without a build")
	return cmd
}

func newPipelineApproveCommand(s *session) *cobra.Command {
	return s.runCommand("approve", "Have a run of a fork's pull request begin; look at what it changes first", func(ctx context.Context, c *client.Client, id int64) (agent.Run, error) {
		return c.ApproveRun(ctx, id)
	})
}

func (s *session) showRun(r agent.Run) error {
	if s.json {
		return s.screen.printJSON(r)
	}
	status := string(r.Status)
	if r.Waits() {
		status = fmt.Sprintf("waiting for approval: hks pipeline approve %d", r.ID)
	}
	s.screen.print("run %d of %s (%s) is %s", r.ID, r.Pipeline, shortCommit(r.Commit.SHA), status)
	return nil
}

func newPipelineRunsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "runs [APP]", Short: "List runs, the newest first", Example: "  hks pipeline runs shop", Args: takes("[APP]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				runs, err := c.Runs(ctx, name)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(runs))
				}
				t := newTable("RUN", "PIPELINE", "COMMIT", "STATUS", "BY", "RELEASE", "WHEN", "WHY")
				for _, r := range runs {
					why, release := clean(r.Note), ""
					if r.Waits() && !r.Status.Done() {
						why = "waits for approval"
					}
					if r.Failure != nil {
						why = firstLine(r.Failure.Message)
					}
					if r.Release > 0 {
						release = strconv.Itoa(r.Release)
					}
					t.row(strconv.FormatInt(r.ID, 10), r.Pipeline, shortCommit(r.Commit.SHA)+" "+clean(r.Commit.Message), s.screen.style.status(string(r.Status)), r.Trigger, release, ago(s.now(), r.CreatedAt), why)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newPipelineLogsCommand(s *session) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs RUN", Short: "Show the log of a run", Example: "  hks pipeline logs 12 -f", Args: takes("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return s.watchRun(ctx, c, id, follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	return cmd
}

// watchRun shows the log of the run's build, and with follow waits for the
// run's end.
func (s *session) watchRun(ctx context.Context, c *client.Client, id int64, follow bool) error {
	watched := false
	for {
		r, err := c.Run(ctx, id)
		if err != nil {
			return err
		}
		if r.Build != 0 && !watched {
			watched = true
			if _, err := s.watchBuild(ctx, c, r.Build, follow); err != nil {
				return err
			}
			continue
		}
		if r.Failure != nil {
			return &agent.Error{Code: r.Failure.Code, Message: r.Failure.Message, Fix: r.Failure.Fix}
		}
		if r.Status.Done() || !follow {
			s.screen.note("run %d is %s", id, r.Status)
			return nil
		}
		timer := time.NewTimer(runPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
