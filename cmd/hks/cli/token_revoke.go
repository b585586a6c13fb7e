package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type tokenRevokeOptions struct {
	*session
	token string
}

func newTokenRevokeCommand(s *session) *cobra.Command {
	o := tokenRevokeOptions{session: s}
	return &cobra.Command{
		Use:     "revoke ID|NAME",
		Short:   "End an API token at once",
		Example: "  hks token revoke ci",
		Args:    takes("ID|NAME"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return s.tokenIDs(cmd.Context(), len(args)), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.token = args[0]
			return o.run(cmd.Context())
		},
	}
}

func (o *tokenRevokeOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		tokens, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		token, err := o.find(tokens)
		if err != nil {
			return err
		}
		if err := c.RevokeToken(ctx, token.ID); err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(token)
		}
		o.screen.print("token %q (%s) is revoked", token.Name, token.ID)
		return nil
	})
}

// find looks a token up by id, or by a name that only one has.
func (o *tokenRevokeOptions) find(tokens []agent.Token) (agent.Token, error) {
	var found []agent.Token
	var ids []string
	for _, token := range tokens {
		if token.ID == o.token {
			return token, nil
		}
		if token.Name == o.token {
			found, ids = append(found, token), append(ids, token.ID)
		}
	}
	switch len(found) {
	case 0:
		return agent.Token{}, agent.Errorf(agent.CodeNotFound, "hks token list shows them", "there is no token %q", o.token)
	case 1:
		return found[0], nil
	}
	return agent.Token{}, agent.Errorf(agent.CodeConflict, "give the id of the one you mean", "%d tokens have the name %q: %s", len(found), o.token, strings.Join(ids, ", "))
}

// tokenIDs is for completion: empty when anything fails.
func (s *session) tokenIDs(ctx context.Context, args int) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || args > 0 {
		return nil
	}
	tokens, err := c.Tokens(ctx)
	if err != nil {
		return nil
	}
	ids := make([]string, 0, len(tokens))
	for _, token := range tokens {
		ids = append(ids, token.ID+"\t"+token.Name)
	}
	return ids
}
