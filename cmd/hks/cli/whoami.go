package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type whoamiOptions struct{ *session }

func newWhoamiCommand(s *session) *cobra.Command {
	o := whoamiOptions{session: s}
	return &cobra.Command{
		Use:     "whoami",
		Short:   "Show which appliance you speak to, and as whom",
		Example: "  hks whoami",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *whoamiOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		id, err := c.Whoami(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(struct {
				agent.Identity
				URL string `json:"url"`
			}{id, c.URL()})
		}
		o.screen.print("%s on %s (by %s)", clean(id.Name), c.URL(), clean(id.Via))
		return nil
	})
}
