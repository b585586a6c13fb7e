package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newFunctionCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "function",
		Aliases: []string{"fn"},
		Short:   "Deploy, call and look after functions",
		Args:    noCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(newFunctionInitCommand(s), newFunctionDeployCommand(s), newFunctionListCommand(s), newFunctionShowCommand(s), newFunctionInvokeCommand(s),
		newFunctionLogsCommand(s), newFunctionVersionsCommand(s), newFunctionRollbackCommand(s), newFunctionDeleteCommand(s),
		newFunctionEnvCommand(s, "env", "variable"), newFunctionEnvCommand(s, "secret", "secret"), newFunctionLettersCommand(s),
		newFunctionEmitCommand(s), newFunctionTestCommand(s))
	return cmd
}

// completeFunction completes the name of a function.
func (s *session) completeFunction(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	_ = s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error { // nothing is offered, then
		list, err := c.Functions(ctx)
		for _, f := range list {
			names = append(names, f.Name)
		}
		return err
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

func newFunctionListCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List functions", Example: "  hks function list", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.Functions(ctx)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("FUNCTION", "RUNTIME", "VERSION", "INSTANCES", "WAITING", "DEAD", "URL")
				for _, f := range list {
					t.row(f.Name, f.Spec.Runtime, strconv.Itoa(f.Version), strconv.Itoa(f.Instances), strconv.Itoa(f.Waiting), strconv.Itoa(f.Dead), f.URL)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newFunctionShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show FUNCTION", Short: "Show a function, its address and its key", Example: "  hks function show daily-summary-email", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				f, err := c.Function(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showFunction(f)
			})
		},
	}
}

func (s *session) showFunction(view agent.Function) error {
	if s.json {
		return s.screen.printJSON(view)
	}
	f := facts{}
	f.add("Function", s.screen.style.bold(view.Name))
	f.add("URL", view.URL)
	if view.Key != "" {
		f.add("Key", view.Key+"  (header X-Hks-Key)")
	}
	if view.Version > 0 {
		spec := view.Spec
		f.add("Version", strconv.Itoa(view.Version))
		f.add("Runtime", spec.Runtime+", "+spec.Entry+", "+spec.Signature)
		f.add("Limits", fmt.Sprintf("%d MiB, %d s, %d calls in each of at most %d instances", spec.Memory, spec.Timeout, spec.Concurrency, spec.MaxInstances))
	}
	for _, t := range view.Spec.Triggers {
		if t.Event != "" {
			f.add("Called by", "events of the type "+t.Event)
		} else {
			f.add("Called", t.Cron+" "+cmp.Or(t.TimeZone, "UTC"))
		}
	}
	for _, name := range view.Variables {
		f.add("Variable", name)
	}
	for _, name := range view.Missing {
		f.add("Missing", name+"  (hks function env set "+view.Name+" "+name+"=VALUE)")
	}
	f.add("Instances", strconv.Itoa(view.Instances))
	f.add("Waiting", strconv.Itoa(view.Waiting))
	f.add("Dead letters", strconv.Itoa(view.Dead))
	return f.write(s.screen.out, s.screen.style)
}

func newFunctionVersionsCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "versions FUNCTION", Short: "List the versions of a function", Example: "  hks function versions hello", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				list, err := c.FunctionVersions(ctx, args[0])
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("VERSION", "STATUS", "BY", "WHEN", "DIGEST", "WHY")
				for _, v := range list {
					why := ""
					if v.Failure != nil {
						why = firstLine(v.Failure.Message)
					}
					t.row(strconv.Itoa(v.Number), s.screen.style.status(string(v.Status)), v.By, ago(s.now(), v.CreatedAt), v.Digest[:min(12, len(v.Digest))], why)
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
}

func newFunctionRollbackCommand(s *session) *cobra.Command {
	var to int
	cmd := &cobra.Command{
		Use: "rollback FUNCTION", Short: "Have an earlier version serve again", Example: "  hks function rollback hello\n  hks function rollback hello --to 3", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				v, err := c.RollbackFunction(ctx, args[0], to)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(v)
				}
				_, err = fmt.Fprintf(s.screen.out, "%s serves version %d\n", v.Function, v.Number)
				return err
			})
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the version (default: the one before)")
	return cmd
}

func newFunctionDeleteCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete FUNCTION", Short: "Delete a function with its versions and waiting calls", Example: "  hks function delete hello --yes", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if !s.screen.inTTY {
					return usagef("if you mean it: hks function delete "+args[0]+" --yes", "deleting asks for confirmation, and there is no terminal to ask on")
				}
				typed, err := s.screen.ask("type the name of the function to delete it: ")
				if err != nil {
					return err
				}
				if typed != args[0] {
					return agent.Errorf(agent.CodeConflict, "", "%s stays", args[0])
				}
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return c.DeleteFunction(ctx, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newFunctionLogsCommand(s *session) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs FUNCTION", Short: "Show what the newest instance of a function wrote", Example: "  hks function logs hello -f", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				for line, err := range c.FunctionLogs(ctx, args[0], follow) {
					if err != nil {
						return err
					}
					if s.json {
						err = s.screen.printJSON(line)
					} else {
						_, err = fmt.Fprintln(s.screen.out, line.Text)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as it writes")
	return cmd
}
