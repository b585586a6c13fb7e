package cli

import "github.com/spf13/cobra"

func newSecretCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Set, unset and list the secrets of an application",
		Long: `Set, unset and list the secrets of an application. A secret is an environment variable
whose value never stands on a command line. It goes to the components that ask for it in
the project's file; one that none asks for goes to all.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newSecretSetCommand(s), newEnvUnsetCommand(s), newEnvListCommand(s))
	return cmd
}
