package cli

import "github.com/spf13/cobra"

func newImageCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "List images of the appliance's own registry, load more, remove some",
		Args:  noCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newImageListCommand(s), newImageLoadCommand(s), newImagePruneCommand(s), newImageDeleteCommand(s))
	return cmd
}
