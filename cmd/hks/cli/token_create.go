package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type tokenCreateOptions struct {
	*session
	name string
}

func newTokenCreateCommand(s *session) *cobra.Command {
	o := tokenCreateOptions{session: s}
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API token; its secret is shown once",
		Example: `  hks token create ci
  export HKS_TOKEN=$(hks token create ci)`,
		Args:              takes("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
}

func (o *tokenCreateOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		token, err := c.CreateToken(ctx, o.name)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(token)
		}
		o.screen.note("token %q (%s); its secret is not shown again:", token.Name, token.ID)
		o.screen.print("%s", token.Secret)
		return nil
	})
}
