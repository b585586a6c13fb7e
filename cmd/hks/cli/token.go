package cli

import "github.com/spf13/cobra"

func newTokenCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "List, create and revoke API tokens",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newTokenListCommand(s), newTokenCreateCommand(s), newTokenRevokeCommand(s))
	return cmd
}
