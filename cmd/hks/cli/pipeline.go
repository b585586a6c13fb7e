package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newPipelineCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pipeline",
		Short: "Build, test and deploy to staging at every push",
		Long: `Build, test and deploy to staging at every push.

A pipeline has the name of its app. Connect GitHub first: hks github connect`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newPipelineCreateCommand(s), newPipelineListCommand(s), newPipelineShowCommand(s), newPipelineEditCommand(s), newPipelineDeleteCommand(s),
		newPipelineRunCommand(s), newPipelineRunsCommand(s), newPipelineLogsCommand(s), newPipelineCancelCommand(s), newPipelineRerunCommand(s),
		newPipelineDeliveriesCommand(s),
	)
	return cmd
}

func pipelineFlags(cmd *cobra.Command, p *agent.Pipeline) {
	cmd.Flags().StringVar(&p.Branch, "branch", "", "the branch whose pushes are built; default: the repository's own")
	cmd.Flags().StringVar(&p.Folder, "folder", "", "of the project within the repository")
	cmd.Flags().BoolVar(&p.SkipTests, "skip-tests", false, "deploy without running the tests")
}

func newPipelineCreateCommand(s *session) *cobra.Command {
	var p agent.Pipeline
	cmd := &cobra.Command{
		Use:     "create APP OWNER/REPOSITORY",
		Short:   "Create a pipeline; its first run begins",
		Example: "  hks pipeline create shop octo/shop --branch main",
		Args:    takes("APP", "OWNER/REPOSITORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name, p.Repository = args[0], args[1]
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				made, err := c.CreatePipeline(ctx, p)
				if err != nil {
					return err
				}
				return s.showPipeline(made)
			})
		},
	}
	pipelineFlags(cmd, &p)
	return cmd
}

func newPipelineEditCommand(s *session) *cobra.Command {
	var change agent.Pipeline
	cmd := &cobra.Command{
		Use: "edit APP", Short: "Change branch, folder or tests", Example: "  hks pipeline edit shop --branch release", Args: takes("APP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				p, err := c.Pipeline(ctx, args[0])
				if err != nil {
					return err
				}
				if cmd.Flags().Changed("branch") {
					p.Branch = change.Branch
				}
				if cmd.Flags().Changed("folder") {
					p.Folder = change.Folder
				}
				if cmd.Flags().Changed("skip-tests") {
					p.SkipTests = change.SkipTests
				}
				if p, err = c.EditPipeline(ctx, p); err != nil {
					return err
				}
				return s.showPipeline(p)
			})
		},
	}
	pipelineFlags(cmd, &change)
	return cmd
}

func newPipelineListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List pipelines", Example: "  hks pipeline list", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.Pipelines(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("PIPELINE", "REPOSITORY", "BRANCH", "HEAD")
				for _, p := range list {
					t.row(p.Name, p.Repository, p.Branch, shortCommit(p.Head))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newPipelineShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show APP", Short: "Show a pipeline", Example: "  hks pipeline show shop", Args: takes("APP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				p, err := c.Pipeline(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showPipeline(p)
			})
		},
	}
}

func (s *session) showPipeline(p agent.Pipeline) error {
	if s.json {
		return s.screen.printJSON(p)
	}
	f := facts{}
	f.add("Pipeline", s.screen.style.bold(p.Name))
	f.add("Repository", p.Repository)
	f.add("Branch", p.Branch)
	f.add("Folder", orText(p.Folder, "."))
	f.add("Tests", map[bool]string{false: "before each deploy", true: "skipped"}[p.SkipTests])
	f.add("Head", shortCommit(p.Head))
	webhook := clean(p.HookNote)
	if p.HookID != 0 {
		webhook = "installed"
	}
	f.add("Webhook", webhook)
	if p.PollNote != "" {
		f.add("Trouble", s.screen.style.red(clean(p.PollNote)))
	}
	return f.write(s.screen.out, s.screen.style)
}

func newPipelineDeleteCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete APP", Short: "Delete a pipeline and its webhook; the app stays", Example: "  hks pipeline delete shop --yes", Args: takes("APP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usagef("say so: hks pipeline delete "+args[0]+" --yes", "deleting a pipeline cancels its runs; pushes do nothing any more")
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.DeletePipeline(ctx, args[0]); err != nil {
					return err
				}
				s.screen.note("pipeline %s is deleted; its app stays", args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete without asking")
	return cmd
}

func newPipelineDeliveriesCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "deliveries APP", Short: "List what came in by the webhook, whoever sent it", Example: "  hks pipeline deliveries shop", Args: takes("APP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.Deliveries(ctx, args[0])
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("DELIVERY", "EVENT", "OUTCOME", "WHEN", "WHY")
				for _, d := range list {
					t.row(clean(d.ID), clean(d.Event), d.Outcome, ago(s.now(), d.At), clean(d.Why))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func shortCommit(sha string) string { return sha[:min(len(sha), 7)] }

// parseRun reads the number of a run.
func parseRun(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("give its number: hks pipeline runs shows them", "%q is not a run", text)
	}
	return id, nil
}
