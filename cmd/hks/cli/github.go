package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newGitHubCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "github",
		Short: "Connect GitHub, and list its repositories",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newGitHubConnectCommand(s), newGitHubStatusCommand(s), newGitHubReposCommand(s), newGitHubCheckCommand(s), newGitHubAppCommand(s), newGitHubDisconnectCommand(s))
	return cmd
}

// maxToken bounds what is read as a token, in bytes.
const maxToken = 4 << 10

func newGitHubConnectCommand(s *session) *cobra.Command {
	var request agent.GitHubConnect
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "Connect GitHub with a fine-grained token, or the key of a GitHub App",
		Long: `Connect GitHub with a fine-grained token, which is read from standard input; with --app-id the key of a
GitHub App (its .pem file) is. hks github app makes such an App through the browser.

The token needs, for the repositories that are to be built: Metadata: read, Contents: read,
Commit statuses: read and write, Deployments: read and write, Pull requests: read, and, with --hook-url,
Webhooks: read and write. hks github check OWNER/REPOSITORY tries each of them.
Without --hook-url the branches are looked at every 30 s.`,
		Example: `  hks github connect < token
  hks github connect --hook-url https://hks.example.com:8443 < token
  hks github connect --app-id 12345 < app.private-key.pem
  hks github connect --api https://github.example.com/api/v3/ < token`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := io.ReadAll(io.LimitReader(s.screen.in, maxToken))
			if err != nil {
				return err
			}
			if len(strings.TrimSpace(string(token))) == 0 {
				return usagef("give it on standard input: hks github connect < FILE", "the token is missing")
			}
			if request.AppID != 0 {
				request.AppKey = string(token)
			} else {
				request.Token = strings.TrimSpace(string(token))
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				g, err := c.ConnectGitHub(ctx, request)
				if err != nil {
					return err
				}
				return s.showGitHub(g)
			})
		},
	}
	cmd.Flags().StringVar(&request.URL, "api", "", "the API of a GitHub Enterprise Server")
	cmd.Flags().Int64Var(&request.AppID, "app-id", 0, "the number of a GitHub App, whose key is read instead of a token")
	cmd.Flags().StringVar(&request.Account, "account", "", "the account that the App is installed in, when there are several")
	cmd.Flags().StringVar(&request.HookURL, "hook-url", "", "where GitHub reaches this appliance, such as https://HOST:8443")
	return cmd
}

func newGitHubStatusCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether GitHub is connected", Example: "  hks github status", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				g, err := c.GitHub(ctx)
				if err != nil {
					return err
				}
				return s.showGitHub(g)
			})
		},
	}
}

func (s *session) showGitHub(g agent.GitHub) error {
	if s.json {
		return s.screen.printJSON(g)
	}
	if g.App != nil && !g.Connected {
		s.screen.print("the GitHub App %s is installed in no account yet; install it: %s, then: hks github app check", clean(g.App.Slug), g.App.InstallURL)
		return nil
	}
	if !g.Connected {
		s.screen.print("GitHub is not connected; connect it: hks github connect")
		return nil
	}
	f := facts{}
	f.add("Login", s.screen.style.bold(g.Login))
	if g.App != nil {
		f.add("App", fmt.Sprintf("%s, installed in %s", clean(g.App.Slug), clean(g.App.Account)))
	}
	f.add("API", g.URL)
	f.add("Webhooks", orText(g.HookURL, "none; branches are looked at every 30 s"))
	f.add("Checked", ago(s.now(), g.CheckedAt))
	return f.write(s.screen.out, s.screen.style)
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func newGitHubReposCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "repos", Short: "List the repositories that the token can see", Example: "  hks github repos", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.GitRepositories(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("REPOSITORY", "BRANCH", "SEEN BY")
				for _, r := range list {
					seen := "everybody"
					if r.Private {
						seen = "few"
					}
					t.row(r.Name, r.Branch, seen)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newGitHubDisconnectCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect", Short: "Forget the token; pipelines stay and wait", Example: "  hks github disconnect", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.DisconnectGitHub(ctx); err != nil {
					return err
				}
				s.screen.note("GitHub is disconnected")
				return nil
			})
		},
	}
}

func newGitHubCheckCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "check OWNER/REPOSITORY", Short: "Try each permission that hks needs of a repository", Example: "  hks github check octo/shop", Args: takes("OWNER/REPOSITORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.GitPermissions(ctx, args[0])
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("PERMISSION", "GRANTED", "FOR", "WHY")
				missing := ""
				for _, p := range list {
					if !p.Granted && missing == "" {
						missing = p.Name
					}
					t.row(p.Name, map[bool]string{true: "yes", false: "no"}[p.Granted], p.For, clean(p.Why))
				}
				if err := t.write(s.screen.out, s.screen.style); err != nil {
					return err
				}
				if missing != "" {
					return agent.Errorf(agent.CodeGitHub, "give it to the token or the App, for "+args[0], "the permission %q is missing", missing)
				}
				return nil
			})
		},
	}
}

func newGitHubAppCommand(s *session) *cobra.Command {
	var start agent.GitHubAppStart
	cmd := &cobra.Command{
		Use:   "app",
		Short: "Make a GitHub App for this appliance through the browser",
		Long: `Make a GitHub App for this appliance through the browser.

Open the page that is shown, go on to GitHub, and make the App there. GitHub sends the browser back to the
appliance, which must be where --origin says. Then install the App for your repositories, and say:
hks github app check`,
		Example: `  hks github app --origin https://hks.example.com:8443
  hks github app check`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				form, err := c.StartGitHubApp(ctx, start)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(form)
				}
				s.screen.print("open within an hour: %s", form.Page)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&start.Origin, "origin", "", "where your browser has this appliance, such as https://HOST:8443")
	cmd.Flags().StringVar(&start.URL, "api", "", "the API of a GitHub Enterprise Server")
	cmd.Flags().StringVar(&start.HookURL, "hook-url", "", "where GitHub reaches this appliance, such as https://HOST:8443")
	cmd.Flags().StringVar(&start.Organization, "organization", "", "whose the App is to be; default: your own")
	_ = cmd.MarkFlagRequired("origin") // of a flag that there is
	var account string
	check := &cobra.Command{
		Use: "check", Short: "Look whether the App is installed, and connect by it", Example: "  hks github app check", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				g, err := c.CheckGitHubApp(ctx, account)
				if err != nil {
					return err
				}
				return s.showGitHub(g)
			})
		},
	}
	check.Flags().StringVar(&account, "account", "", "the account, when the App is installed in several")
	cmd.AddCommand(check)
	return cmd
}
