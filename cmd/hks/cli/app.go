package cli

import "github.com/spf13/cobra"

func newAppCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "app",
		Short: "List, show and steer applications",
		Long: `List, show and steer applications.

An application is named as web with -e staging|production, or as web/production;
staging is meant where nothing is said.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newAppListCommand(s), newAppShowCommand(s), newLogsCommand(s), newReleasesCommand(s), newRollbackCommand(s),
		newAppRestartCommand(s), newAppScaleCommand(s), newAppMoveCommand(s), newAppStopCommand(s), newAppStartCommand(s), newAppMaintenanceCommand(s),
		newAppDeleteCommand(s), newAppEventsCommand(s), newOpenCommand(s),
	)
	return cmd
}
