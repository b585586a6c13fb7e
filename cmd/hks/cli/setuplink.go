package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type setupLinkOptions struct{ *session }

func newSetupLinkCommand(s *session) *cobra.Command {
	o := setupLinkOptions{session: s}
	return &cobra.Command{
		Use:   "setup-link",
		Short: "Print a new one-time link to set the owner's password",
		Long: `Print a new one-time link where the owner sets a password. Only the machine's own
administrator may ask for one, over the socket, and only while there is no owner.`,
		Example: "  sudo hks setup-link",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

// run uses the socket unless an appliance is named: a stored login can't make
// set-up links.
func (o *setupLinkOptions) run(ctx context.Context) error {
	if o.url == "" && o.getenv("HKS_URL") == "" {
		o.url = "unix://" + agentSocket
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		link, err := c.SetupLink(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(link)
		}
		o.screen.note("open this link to set the owner's password; it works once, for the next %s:", span(link.ExpiresAt.Sub(o.now())))
		o.screen.print("%s", clean(link.URL))
		return nil
	})
}
