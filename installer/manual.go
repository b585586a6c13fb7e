package installer

import (
	"io"

	"github.com/spf13/cobra"
)

// Root is the whole command, for whoever writes its manual pages.
func Root(version string) *cobra.Command {
	return newCommand(Config{Version: version, Out: io.Discard, Err: io.Discard})
}
