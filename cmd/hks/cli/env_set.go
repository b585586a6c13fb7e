package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

func newEnvSetCommand(s *session) *cobra.Command {
	o := configOptions{session: s}
	env := envOptions{stdin: s.screen.in}
	cmd := &cobra.Command{
		Use:   "set APP KEY=VALUE...",
		Short: "Set environment variables, as a new release",
		Long: `Set environment variables, as a new release. A value on the command line is seen by
others on this machine while the command runs; give a secret with hks secret set.`,
		Example: `  hks env set web GREETING=hello LOG_LEVEL=debug
  hks env set web/production --file .env`,
		Args:              takes("APP", "[KEY=VALUE]..."),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app, env.pairs = args[0], args[1:]
			for _, pair := range env.pairs {
				if !strings.Contains(pair, "=") {
					return usagef("write it as KEY=VALUE", "%s has no value", fit(pair, 40))
				}
			}
			given, err := env.read()
			if err != nil {
				return err
			}
			if len(given) == 0 {
				return usagef("write it as: hks env set "+args[0]+" KEY=VALUE", "no variable is given")
			}
			return o.setEnv(cmd.Context(), env, given, "sets "+plural(len(given), "variable"))
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&env.files, "file", nil, "set variables from a file of KEY=VALUE lines; - is standard input")
	return cmd
}
