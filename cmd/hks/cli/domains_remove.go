package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newDomainsRemoveCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove HOST",
		Short: "Let go of a domain",
		Long: `Let go of a domain: it no longer leads to its application. It asks you to type the
name first. The application and its other hosts stay as they are.`,
		Example: `  hks domains remove www.example.com
  hks domains remove www.example.com --yes`,
		Args:              takes("HOST"),
		ValidArgsFunction: s.completeDomain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				d, err := c.Domain(ctx, args[0])
				if err != nil {
					return err
				}
				if err := s.confirmRemoval(d, yes); err != nil {
					return err
				}
				if err := c.RemoveDomain(ctx, d.Host); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]string{"removed": d.Host})
				}
				s.screen.print("%s no longer leads to %s", clean(d.Name), appRef{d.App, d.Environment})
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (s *session) confirmRemoval(d agent.Domain, yes bool) error {
	if yes {
		return nil
	}
	if !s.screen.inTTY {
		return usagef("if you mean it: hks domains remove "+d.Host+" --yes", "removing %s asks for confirmation, and there is no terminal to ask on", d.Name)
	}
	answer, err := s.screen.ask("type " + d.Name + " to remove it from " + d.App + "/" + string(d.Environment) + ": ")
	if err != nil {
		return err
	}
	if answer != d.Name && answer != d.Host {
		return agent.Errorf(agent.CodeConflict, "", "nothing was removed: the name does not match")
	}
	return nil
}
