package cli

import (
	"github.com/spf13/cobra"
)

func newCompletionCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes hks commands in your shell",
		Example: `  bash:  source <(hks completion bash)
  zsh:   hks completion zsh > "${fpath[1]}/_hks"
  fish:  hks completion fish > ~/.config/fish/completions/hks.fish`,
		Args:      takes("bash|zsh|fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.screen.out, true)
			case "zsh":
				return root.GenZshCompletion(s.screen.out)
			case "fish":
				return root.GenFishCompletion(s.screen.out, true)
			}
			return usagef("use bash, zsh or fish", "there is no completion for %q", args[0])
		},
	}
}
