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

func newFunctionInvokeCommand(s *session) *cobra.Command {
	var (
		data, event, key string
		later            bool
	)
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Call a function, or leave a call to be made with --async",
		Example: `  hks function invoke hello --data '{"name":"Ada"}'
  hks function invoke hello --data - < payload.json
  hks function invoke on-upload --event com.example.uploaded --data '{"file":"a.png"}' --async`,
		Args:              takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			call := agent.FunctionCall{Payload: []byte(data), Key: key}
			if data == "-" {
				var err error
				if call.Payload, err = io.ReadAll(io.LimitReader(s.screen.in, agent.MaxFunctionPayload+1)); err != nil {
					return fmt.Errorf("reading the payload: %w", err)
				}
			}
			if event != "" {
				call.Headers = map[string]string{"Ce-Specversion": "1.0", "Ce-Type": event, "Ce-Source": "hks/cli", "Ce-Id": strconv.FormatInt(s.now().UnixNano(), 36)}
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if later {
					l, err := c.InvokeFunctionAsync(ctx, args[0], call)
					if err != nil {
						return err
					}
					if s.json {
						return s.screen.printJSON(l)
					}
					_, err = fmt.Fprintf(s.screen.out, "call %d accepted\n", l.ID)
					return err
				}
				a, err := c.InvokeFunction(ctx, args[0], call)
				if err != nil {
					return err
				}
				return s.showAnswer(args[0], a)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&data, "data", "d", "", "the payload, - for standard input")
	f.StringVar(&event, "event", "", "send it as a CloudEvent of this type")
	f.StringVar(&key, "key", "", "of idempotency: a second call with the same key is not made")
	f.BoolVar(&later, "async", false, "leave the call to be made, and tried again when it fails")
	return cmd
}

func (s *session) showAnswer(name string, a agent.FunctionAnswer) error {
	var err error
	if s.json {
		err = s.screen.printJSON(a)
	} else {
		_, err = fmt.Fprintln(s.screen.out, strings.TrimSuffix(string(a.Body), "\n"))
	}
	if err == nil && a.Status >= 400 {
		return agent.Errorf(agent.CodeFunctionFailed, "see its log: hks function logs "+name, "%s answered with status %d", name, a.Status)
	}
	return err
}

func newFunctionEnvCommand(s *session, verb, what string) *cobra.Command {
	cmd := &cobra.Command{Use: verb, Short: "Set and unset " + what + "s of a function; all are kept sealed", Args: noCommand, RunE: showHelp}
	change := func(ctx context.Context, name string, set map[string]string, unset []string) error {
		return s.call(ctx, func(ctx context.Context, c *client.Client) error {
			f, err := c.SetFunctionEnv(ctx, name, set, unset)
			if err != nil {
				return err
			}
			return s.showFunction(f)
		})
	}
	cmd.AddCommand(&cobra.Command{
		Use: "set FUNCTION NAME=VALUE...", Short: "Set " + what + "s; NAME=- reads the value from standard input", Example: "  hks function " + verb + " set hello GREETING=hi",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			set := map[string]string{}
			for _, pair := range args[1:] {
				name, value, ok := strings.Cut(pair, "=")
				if !ok {
					return usagef("write NAME=VALUE", "%q has no value", pair)
				}
				if value == "-" {
					data, err := io.ReadAll(io.LimitReader(s.screen.in, 64<<10))
					if err != nil {
						return fmt.Errorf("reading the value: %w", err)
					}
					value = strings.TrimSuffix(string(data), "\n")
				}
				set[name] = value
			}
			return change(cmd.Context(), args[0], set, nil)
		},
	}, &cobra.Command{
		Use: "unset FUNCTION NAME...", Short: "Unset " + what + "s", Example: "  hks function " + verb + " unset hello GREETING",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return change(cmd.Context(), args[0], nil, args[1:])
		},
	})
	return cmd
}

func newFunctionLettersCommand(s *session) *cobra.Command {
	var redrive bool
	cmd := &cobra.Command{
		Use: "dead-letters FUNCTION", Short: "List asynchronous calls that failed for good or still wait; --redrive tries dead ones again",
		Example: "  hks function dead-letters hello\n  hks function dead-letters hello --redrive", Args: takes("FUNCTION"),
		ValidArgsFunction: s.completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if redrive {
					n, err := c.RedriveFunction(ctx, args[0])
					if err != nil {
						return err
					}
					if s.json {
						return s.screen.printJSON(map[string]int{"redriven": n})
					}
					_, err = fmt.Fprintf(s.screen.out, "%d tried again\n", n)
					return err
				}
				list, err := c.FunctionLetters(ctx, args[0])
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(listOf(list))
				}
				t := newTable("CALL", "STATUS", "ATTEMPTS", "WHEN", "WHY")
				for _, l := range list {
					t.row(strconv.FormatInt(l.ID, 10), s.screen.style.status(l.Status), strconv.Itoa(l.Attempts), ago(s.now(), l.CreatedAt), firstLine(l.Error))
				}
				return t.write(s.screen.out, s.screen.style)
			})
		},
	}
	cmd.Flags().BoolVar(&redrive, "redrive", false, "try dead letters again")
	return cmd
}
