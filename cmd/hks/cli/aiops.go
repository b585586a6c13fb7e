package cli

import "github.com/spf13/cobra"

func newAIOpsCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aiops",
		Short: "Try what finds memory leaks and other trouble",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newAIOpsReplayCommand(s))
	return cmd
}
