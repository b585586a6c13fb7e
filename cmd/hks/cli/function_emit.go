package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newFunctionEmitCommand(s *session) *cobra.Command {
	var (
		e    agent.FunctionEvent
		data string
	)
	cmd := &cobra.Command{
		Use:   "emit TYPE",
		Short: "Send a CloudEvent to the functions that wait for its type",
		Long: `Send a CloudEvent to the functions whose triggers name its type. The calls are kept and
tried again like those of invoke --async. The appliance itself sends dev.hks.pipeline.*
and dev.hks.incident.*.`,
		Example: `  hks function emit com.example.uploaded --data '{"file":"a.png"}'
  hks function emit com.example.uploaded --id upload-17 --data - < event.json`,
		Args: takes("TYPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Type = args[0]
			if data == "-" {
				text, err := io.ReadAll(io.LimitReader(s.screen.in, agent.MaxFunctionEvent+1))
				if err != nil {
					return fmt.Errorf("reading the data: %w", err)
				}
				data = string(text)
			}
			if data != "" {
				if !json.Valid([]byte(data)) {
					return usagef(`write it as --data '{"file":"a.png"}'`, "the data of an event is JSON")
				}
				e.Data = json.RawMessage(data)
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				sent, err := c.EmitFunctionEvent(ctx, e)
				if err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(sent)
				}
				if len(sent.Functions) == 0 {
					_, err = fmt.Fprintf(s.screen.out, "no function waits for %s\n", e.Type)
					return err
				}
				_, err = fmt.Fprintf(s.screen.out, "event %s goes to %s\n", sent.ID, strings.Join(sent.Functions, ", "))
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&data, "data", "d", "", "JSON, - for standard input")
	f.StringVar(&e.ID, "id", "", "of idempotency: an event with the id and source of an earlier one goes nowhere (default: a new one)")
	f.StringVar(&e.Source, "source", "", "where it comes from (default /hks)")
	f.StringVar(&e.Subject, "subject", "", "what it is about")
	return cmd
}
