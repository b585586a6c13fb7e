package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

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
		newPipelineDeliveriesCommand(s), newPipelineSetCommand(s), newPipelineApproveCommand(s), newPipelineTestsCommand(s), newPipelinePreviewsCommand(s),
	)
	return cmd
}

func pipelineFlags(cmd *cobra.Command, p *agent.Pipeline) {
	cmd.Flags().StringSliceVar(&p.Paths, "paths", nil, "patterns of what a push must touch to start a run, as in a .dockerignore")
	cmd.Flags().StringArrayVar(&p.Test, "test", nil, "the test command, a flag for each word; default: what is found")
	cmd.Flags().StringVar(&p.Reports, "reports", "", "the folder in which the tests leave JUnit files, such as reports")
	cmd.Flags().BoolVar(&p.PullRequests, "pull-requests", false, "build and test pull requests; those of forks after approval")
	cmd.Flags().IntVar(&p.Previews, "previews", 0, "how many pull requests of own branches may have an app of their own")
	cmd.Flags().IntVar(&p.PreviewDays, "preview-days", 0, "remove such an app after that many days without a push; default 7")
	cmd.Flags().StringVar(&p.PromoteTags, "promote-tags", "", "tags such as 'v*' promote what staging serves to production")
	cmd.Flags().StringVar(&p.HostKey, "host-key", "", "of a repository by SSH: the server's key, as in known_hosts without the host")
	cmd.Flags().StringVar(&p.Branch, "branch", "", "the branch whose pushes are built; default: the repository's own")
	cmd.Flags().StringVar(&p.Folder, "folder", "", "of the project within the repository")
	cmd.Flags().BoolVar(&p.SkipTests, "skip-tests", false, "deploy without running the tests")
}

func newPipelineCreateCommand(s *session) *cobra.Command {
	var p agent.Pipeline
	var password bool
	cmd := &cobra.Command{
		Use:   "create APP REPOSITORY",
		Short: "Create a pipeline; its first run begins",
		Long: `Create a pipeline; its first run begins.

REPOSITORY is OWNER/NAME at GitHub, or the address of a git repository anywhere: https://HOST/PATH
(with --password its USER:PASSWORD or token is read from standard input), or git@HOST:PATH, for which
a deploy key is made and shown; add it there, and compare the fingerprint of the server's key.`,
		Example: `  hks pipeline create shop octo/shop --branch main
  hks pipeline create shop octo/shop --pull-requests --previews 3 --promote-tags 'v*'
  hks pipeline create shop git@git.example.com:octo/shop.git
  hks pipeline create shop https://git.example.com/octo/shop.git --password < token`,
		Args: takes("APP", "REPOSITORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name, p.Repository = args[0], args[1]
			if strings.ContainsAny(args[1], ":@") {
				p.Repository, p.Remote = "", args[1]
			}
			if password {
				text, err := io.ReadAll(io.LimitReader(s.screen.in, maxToken))
				if err != nil {
					return err
				}
				if p.Password = strings.TrimSpace(string(text)); p.Password == "" {
					return usagef("give it on standard input: < FILE", "the password is missing")
				}
			}
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
	cmd.Flags().BoolVar(&password, "password", false, "read the password of the repository from standard input")
	return cmd
}

func newPipelineEditCommand(s *session) *cobra.Command {
	var change agent.Pipeline
	cmd := &cobra.Command{
		Use: "edit APP", Short: "Change the settings of a pipeline; what is not named stays", Example: "  hks pipeline edit shop --branch release --paths 'services/shop/**'", Args: takes("APP"),
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
				for flag, set := range map[string]func(){
					"skip-tests": func() { p.SkipTests = change.SkipTests }, "paths": func() { p.Paths = change.Paths }, "test": func() { p.Test = change.Test },
					"reports": func() { p.Reports = change.Reports }, "pull-requests": func() { p.PullRequests = change.PullRequests },
					"previews": func() { p.Previews = change.Previews }, "preview-days": func() { p.PreviewDays = change.PreviewDays },
					"promote-tags": func() { p.PromoteTags = change.PromoteTags }, "host-key": func() { p.HostKey = change.HostKey },
				} {
					if cmd.Flags().Changed(flag) {
						set()
					}
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
	if len(p.Test) > 0 {
		f.add("Test command", clean(strings.Join(p.Test, " ")))
	}
	add := func(name, value string) {
		if value != "" {
			f.add(name, value)
		}
	}
	add("Reports", p.Reports)
	add("Paths", clean(strings.Join(p.Paths, ", ")))
	if p.PullRequests {
		words := "built; of forks after approval"
		if p.Previews > 0 {
			words += fmt.Sprintf("; up to %d previews", p.Previews)
		}
		f.add("Pull requests", words)
	}
	add("Promoting tags", clean(p.PromoteTags))
	for _, v := range p.Variables {
		value := clean(v.Value)
		if v.Secret {
			value = "(secret)"
		}
		f.add("Variable", v.Name+"="+value)
	}
	add("Remote", p.Remote)
	add("Deploy key", p.DeployKey)
	add("Server's key", p.HostPrint)
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
