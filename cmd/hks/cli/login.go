package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type loginOptions struct {
	*session
	address       string
	fingerprint   string
	passwordStdin bool
	tokenName     string
}

func newLoginCommand(s *session) *cobra.Command {
	o := loginOptions{session: s}
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Log in to an appliance as its owner",
		Long: `Log in to an appliance as its owner.

The appliance's certificate is trusted by its fingerprint: compare the one shown here
with the one that "hks version" shows on the appliance itself. A token is stored in
~/.config/hks/config.json, readable by you only; hks logout revokes it.`,
		Example: `  hks login https://192.0.2.2:8443
  hks login 192.0.2.2 --fingerprint SHA256:0f3a...
  hks login https://hks.example.com:8443 --password-stdin < password-file`,
		Args:              takes("URL"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.address = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.fingerprint, "fingerprint", "", "trust the certificate with this fingerprint, without a question")
	cmd.Flags().BoolVar(&o.passwordStdin, "password-stdin", false, "read the password from standard input")
	cmd.Flags().StringVar(&o.tokenName, "name", "", "name of the token (default: hks on this machine's name)")
	return cmd
}

func (o *loginOptions) run(ctx context.Context) error {
	address, err := normalURL(o.address)
	if err != nil {
		return err
	}
	if strings.HasPrefix(address, "unix:") {
		return usagef("use it without login: hks --url "+address+" ...", "the socket of the machine itself needs no login")
	}
	before, err := o.logins.load()
	if err != nil {
		return err
	}
	pin, err := o.trust(ctx, address, before)
	if err != nil {
		return err
	}
	c, err := o.clientFor(client.Config{URL: address, Fingerprint: pin})
	if err != nil {
		return asUsage(err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if !info.SetUp {
		return agent.Errorf(agent.CodeSetupRequired, "open the set-up link first; on the appliance: hks setup-link", "the appliance at %s has no owner yet", address)
	}
	password, err := o.password()
	if err != nil {
		return err
	}
	token, err := c.Login(ctx, password, cmp.Or(o.tokenName, defaultTokenName()))
	if err != nil {
		return err
	}
	now := login{URL: address, Fingerprint: pin, Token: token.Secret, TokenID: token.ID, TokenName: token.Name}
	if err := o.logins.save(now); err != nil {
		return err
	}
	o.revokeEarlier(ctx, before, now)
	if o.json {
		token.Secret = ""
		return o.screen.printJSON(token)
	}
	o.screen.print("logged in to %s as the owner (token %q)", address, token.Name)
	return nil
}

// trust decides which fingerprint to pin: "" when the system's authorities
// vouch for the certificate. It asks when only a person can decide.
func (o *loginOptions) trust(ctx context.Context, address string, before login) (string, error) {
	if o.fingerprint != "" {
		pin, err := client.ParseFingerprint(o.fingerprint)
		return pin, asUsage(err)
	}
	seen, err := client.Inspect(ctx, address)
	if err != nil {
		return "", err
	}
	known := ""
	if before.URL == address {
		known = before.Fingerprint
	}
	switch {
	case known == seen.Fingerprint:
		return known, nil
	case seen.Trusted && known == "":
		return "", nil
	}
	style := o.screen.errStyle
	if known != "" {
		o.screen.note("%s the appliance at %s shows another certificate than at your last login:", style.red("warning:"), address)
		o.screen.note("someone may be intercepting the connection, or it was installed anew")
		o.screen.note("  known: %s", known)
		o.screen.note("  shown: %s", seen.Fingerprint)
	} else {
		o.screen.note("the certificate of %s has this fingerprint:\n  %s", address, style.bold(seen.Fingerprint))
	}
	o.screen.note("compare it with the one that hks version shows on the appliance itself")
	if !o.screen.inTTY || o.passwordStdin {
		return "", agent.Errorf(client.CodeNotTrusted, "if it is the same there: hks login "+address+" --fingerprint "+seen.Fingerprint,
			"the certificate is not trusted yet, and there is no terminal to ask you on")
	}
	answer, err := o.screen.ask("is it the same? [yes/no] ")
	if err != nil {
		return "", err
	}
	if answer != "yes" && answer != "y" {
		return "", agent.Errorf(client.CodeNotTrusted, "find out why the fingerprints differ before you log in", "not logged in: the certificate is not trusted")
	}
	return seen.Fingerprint, nil
}

func (o *loginOptions) password() (string, error) {
	switch {
	case o.passwordStdin:
		line, err := bufio.NewReader(io.LimitReader(o.screen.in, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		password := strings.TrimRight(line, "\r\n")
		if password == "" {
			return "", usagef("pipe the password in: hks login URL --password-stdin < FILE", "standard input holds no password")
		}
		return password, nil
	case o.screen.inTTY:
		return o.screen.askSecret("password: ")
	}
	return "", usagef("pipe the password in with --password-stdin", "there is no terminal to ask for the password on")
}

// revokeEarlier ends the token that this login replaces. When that fails the
// token stays listed, which hks token list shows.
func (o *loginOptions) revokeEarlier(ctx context.Context, before, now login) {
	if before.URL != now.URL || before.TokenID == "" || before.TokenID == now.TokenID {
		return
	}
	c, err := o.clientFor(client.Config{URL: now.URL, Fingerprint: now.Fingerprint, Token: now.Token})
	if err == nil {
		err = c.RevokeToken(ctx, before.TokenID)
	}
	if err != nil && agent.CodeOf(err) != agent.CodeNotFound {
		o.screen.note("the token of the login before is still valid (%v): hks token revoke %s", err, before.TokenID)
	}
}

func defaultTokenName() string {
	host, err := os.Hostname()
	if err != nil {
		return "hks"
	}
	return "hks on " + host
}
