package cli

import (
	"context"
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
	cmd.AddCommand(newGitHubConnectCommand(s), newGitHubStatusCommand(s), newGitHubReposCommand(s), newGitHubDisconnectCommand(s))
	return cmd
}

// maxToken bounds what is read as a token, in bytes.
const maxToken = 4 << 10

func newGitHubConnectCommand(s *session) *cobra.Command {
	var request agent.GitHubConnect
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "Connect GitHub with a fine-grained token",
		Long: `Connect GitHub with a fine-grained token, which is read from standard input.

The token needs, for the repositories that are to be built: Metadata: read, Contents: read,
Commit statuses: read and write, and, with --hook-url, Webhooks: read and write.
Without --hook-url the branches are looked at every 30 s.`,
		Example: `  hks github connect < token
  hks github connect --hook-url https://hks.example.com:8443 < token
  hks github connect --api https://github.example.com/api/v3/ < token`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := io.ReadAll(io.LimitReader(s.screen.in, maxToken))
			if err != nil {
				return err
			}
			if request.Token = strings.TrimSpace(string(token)); request.Token == "" {
				return usagef("give it on standard input: hks github connect < FILE", "the token is missing")
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
	if !g.Connected {
		s.screen.print("GitHub is not connected; connect it: hks github connect")
		return nil
	}
	f := facts{}
	f.add("Login", s.screen.style.bold(g.Login))
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
