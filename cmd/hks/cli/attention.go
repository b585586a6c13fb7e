package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type attentionOptions struct{ *session }

func newAttentionCommand(s *session) *cobra.Command {
	o := attentionOptions{session: s}
	return &cobra.Command{
		Use:   "attention",
		Short: "List all that waits for you, the worst first, each with the next command",
		Example: `  hks attention
  hks attention --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *attentionOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		list, err := c.Attention(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(listOf(list))
		}
		if len(list) == 0 {
			o.screen.note("nothing waits for you")
			return nil
		}
		t := newTable("SEVERITY", "SUBJECT", "SINCE", "WHAT", "NEXT")
		for _, a := range list {
			t.row(o.screen.style.status(a.Severity), a.Subject, ago(o.now(), a.Since), a.Text, a.Fix)
		}
		return t.write(o.screen.out, o.screen.style)
	})
}
