package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketRotateCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	cmd := &cobra.Command{
		Use:   "rotate SERVICE",
		Short: "Exchange a service's credentials, with no downtime of its apps",
		Long: `Exchange a service's credentials. A second user is made, each bound app gets it by a
release, and the first one is dropped when all of them serve.`,
		Example:           "  hks market rotate db",
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.RotateService(ctx, args[0])
			}, args[0]+" has new credentials")
		},
	}
	o.flags(cmd)
	return cmd
}

func newMarketTestCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "test SERVICE",
		Short:             "Log in to a service as an app does",
		Example:           "  hks market test db",
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if err := c.TestService(ctx, args[0]); err != nil {
					return err
				}
				if s.json {
					return s.screen.printJSON(map[string]bool{"good": true})
				}
				s.screen.print("%s lets its clients in", args[0])
				return nil
			})
		},
	}
}

func newMarketUninstallCommand(s *session) *cobra.Command {
	o := jobOptions{session: s}
	var force, purge, yes bool
	cmd := &cobra.Command{
		Use:   "uninstall SERVICE",
		Short: "Remove a service; its volume stays for a while",
		Long: `Remove a service. Its volume and backups stay for seven days: installed again under
the same name, it has its data. With --purge they go at once. A service that apps are
bound to is refused; --force takes it out of them.`,
		Example: `  hks market uninstall db
  hks market uninstall db --purge --yes`,
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, what := args[0], "this stops "+args[0]+"; its volume and backups stay for seven days"
			if purge {
				what = "this removes " + name + " with its volume and all its backups"
			}
			if err := s.confirmName(yes, name, what, "hks market uninstall "+name); err != nil {
				return err
			}
			return o.began(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.ServiceJob, error) {
				return c.UninstallService(ctx, name, force, purge)
			}, name+" is removed")
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "although apps are bound to it")
	cmd.Flags().BoolVar(&purge, "purge", false, "with its volume and backups")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
