package cli

import "github.com/spf13/cobra"

func newEnvCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Set, unset and list the environment variables of an application",
		Long: `Set, unset and list the environment variables of an application. They go to all of
its components, are kept encrypted and are never shown. Each change is a release, which
can be rolled back.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(newEnvSetCommand(s), newEnvUnsetCommand(s), newEnvListCommand(s))
	return cmd
}
