package cli

import "github.com/spf13/cobra"

func newBuildCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build",
		Short: "List, show, follow and cancel builds, and see to their cache",
		Long:  "List, show, follow and cancel builds. A build is begun by hks deploy in a project's folder.",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newBuildListCommand(s), newBuildShowCommand(s), newBuildLogsCommand(s), newBuildCancelCommand(s),
		newBuildCacheCommand(s), newBuildPruneCommand(s))
	return cmd
}
