package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type logoutOptions struct{ *session }

func newLogoutCommand(s *session) *cobra.Command {
	o := logoutOptions{session: s}
	return &cobra.Command{
		Use:     "logout",
		Short:   "Revoke the stored token and forget it",
		Example: "  hks logout",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *logoutOptions) run(ctx context.Context) error {
	stored, err := o.logins.load()
	if err != nil {
		return err
	}
	if stored.URL == "" {
		return agent.Errorf(agent.CodeUnauthorized, "", "you are not logged in to an appliance")
	}
	c, err := o.clientFor(client.Config{URL: stored.URL, Fingerprint: stored.Fingerprint, Token: stored.Token})
	if err != nil {
		return err
	}
	revoked := c.Logout(ctx)
	if agent.CodeOf(revoked) == agent.CodeUnauthorized {
		revoked = nil // it was dead already
	}
	if err := o.logins.forget(); err != nil {
		return err
	}
	if revoked != nil {
		return agent.Errorf(agent.CodeOf(revoked), "revoke it when the appliance is back: hks token revoke "+stored.TokenID,
			"the login is forgotten here, but its token could not be revoked: %w", revoked)
	}
	if o.json {
		return o.screen.printJSON(map[string]string{"url": stored.URL, "revoked": stored.TokenID})
	}
	o.screen.print("logged out of %s; the token is revoked", stored.URL)
	return nil
}
