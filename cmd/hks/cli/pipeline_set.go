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

// maxSecret bounds what is read as the value of a secret, in bytes.
const maxSecret = 32 << 10

func newPipelineSetCommand(s *session) *cobra.Command {
	var env agent.PipelineEnv
	var secret string
	cmd := &cobra.Command{
		Use:   "set APP [KEY=VALUE...]",
		Short: "Set variables and secrets of a pipeline's builds and tests",
		Long: `Set variables and secrets of a pipeline's builds and tests.

A variable is a build argument: it is in the image's history. A secret is read from standard input; it is
kept sealed, given to the steps of tests and builds alone, and masked in their logs. In a Dockerfile of
your own a step asks for it: RUN --mount=type=secret,id=NAME,env=NAME. The app itself gets neither:
hks env set is for those.`,
		Example: `  hks pipeline set shop NODE_ENV=test
  hks pipeline set shop --secret NPM_TOKEN < token
  hks pipeline set shop --unset NODE_ENV`,
		Args: takes("APP", "[KEY=VALUE...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			env.Set = map[string]string{}
			for _, word := range args[1:] {
				name, value, ok := strings.Cut(word, "=")
				if !ok {
					return usagef("write it as KEY=VALUE", "%q is not a variable", word)
				}
				env.Set[name] = value
			}
			if secret != "" {
				value, err := io.ReadAll(io.LimitReader(s.screen.in, maxSecret+1))
				if err != nil {
					return err
				}
				if len(value) == 0 || len(value) > maxSecret {
					return usagef("give it on standard input: --secret NAME < FILE", "the secret is missing, or larger than %d KB", maxSecret>>10)
				}
				env.Secrets = map[string]string{secret: strings.TrimRight(string(value), "\r\n")}
			}
			if len(env.Set)+len(env.Secrets)+len(env.Unset) == 0 {
				return usagef("hks pipeline set "+args[0]+" KEY=VALUE", "there is nothing to set")
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				p, err := c.SetPipelineEnv(ctx, args[0], env)
				if err != nil {
					return err
				}
				return s.showPipeline(p)
			})
		},
	}
	cmd.Flags().StringVar(&secret, "secret", "", "the name of a secret, whose value is read from standard input")
	cmd.Flags().StringSliceVar(&env.Unset, "unset", nil, "names to remove")
	return cmd
}

func newPipelineTestsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "tests RUN", Short: "List the tests of a run, as their JUnit reports tell", Example: "  hks pipeline tests 12", Args: takes("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseRun(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.RunTests(ctx, id)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("OUTCOME", "SUITE", "TEST", "SECONDS", "WHY")
				for _, one := range list {
					why := firstLine(clean(one.Message))
					if one.Flaky != "" {
						why = "flaky: " + clean(one.Flaky)
					}
					t.row(one.Outcome, clean(one.Suite), clean(one.Name), strconv.FormatFloat(one.Seconds, 'f', 2, 64), why)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newPipelinePreviewsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "previews", Short: "List the apps of pull requests", Example: "  hks pipeline previews", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.Previews(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("APP", "PIPELINE", "PULL REQUEST", "LAST PUSH")
				for _, one := range list {
					t.row(one.App, one.Pipeline, fmt.Sprintf("#%d", one.Pull), ago(s.now(), one.At))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}
