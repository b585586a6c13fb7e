package cli

import (
	"os"

	"github.com/spf13/cobra"
)

// Root is the whole command, for whoever writes its manual pages and
// completions.
func Root(version string) *cobra.Command {
	return newRootCommand(newSession(Config{
		Version: version, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: func(string) string { return "" },
	}))
}
