package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type tokenListOptions struct{ *session }

func newTokenListCommand(s *session) *cobra.Command {
	o := tokenListOptions{session: s}
	return &cobra.Command{
		Use:     "list",
		Short:   "List API tokens",
		Example: "  hks token list",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *tokenListOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		tokens, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(listOf(tokens))
		}
		if len(tokens) == 0 {
			o.screen.note("there are no tokens; make one: hks token create NAME")
			return nil
		}
		t := newTable("ID", "NAME", "CREATED", "LAST USED", "EXPIRES")
		for _, token := range tokens {
			t.row(token.ID, token.Name, ago(o.now(), token.CreatedAt), ago(o.now(), token.UsedAt), expiry(o.now(), token.ExpiresAt))
		}
		return t.write(o.screen.out, o.screen.style)
	})
}

func expiry(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.Before(now):
		return "expired"
	}
	return "in " + span(t.Sub(now))
}

// listOf makes an empty list of none, so that JSON never says null.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
