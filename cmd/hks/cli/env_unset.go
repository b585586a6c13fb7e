package cli

import (
	"github.com/spf13/cobra"
)

func newEnvUnsetCommand(s *session) *cobra.Command {
	o := configOptions{session: s}
	cmd := &cobra.Command{
		Use:               "unset APP KEY...",
		Short:             "Take environment variables or secrets away, as a new release",
		Example:           "  hks env unset web GREETING",
		Args:              takes("APP", "KEY..."),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			env := envOptions{unset: args[1:]}
			if err := env.checkUnset(); err != nil {
				return err
			}
			return o.setEnv(cmd.Context(), env, nil, "takes "+plural(len(env.unset), "variable")+" away")
		},
	}
	o.flags(cmd)
	return cmd
}
