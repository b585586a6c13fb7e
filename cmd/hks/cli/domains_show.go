package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newDomainsShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "show HOST",
		Short:             "Show a domain: where it points to, and its certificate",
		Example:           "  hks domains show www.example.com",
		Args:              takes("HOST"),
		ValidArgsFunction: s.completeDomain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.onDomain(cmd.Context(), func(ctx context.Context, c *client.Client) (agent.Domain, error) { return c.Domain(ctx, args[0]) })
		},
	}
}

func newDomainsCheckCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "check HOST",
		Short: "Look now where a domain points to, and whether its ports lead here",
		Long: `Look now where a domain points to, and whether ports 80 and 443 of those addresses
lead to this appliance. The exit code is 1 where something is not right.`,
		Example:           "  hks domains check www.example.com",
		Args:              takes("HOST"),
		ValidArgsFunction: s.completeDomain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				d, err := c.CheckDomain(ctx, args[0])
				if err != nil {
					return err
				}
				if err := s.showDomain(d); err != nil || d.Check.OK() {
					return err
				}
				return agent.Errorf(agent.CodeConflict, "mend what is marked no, then check again", "%s does not lead to this appliance yet", d.Name)
			})
		},
	}
}

func newDomainsRetryCommand(s *session) *cobra.Command {
	var anyway, noWait bool
	cmd := &cobra.Command{
		Use:   "retry HOST",
		Short: "Ask the certificate authority again now",
		Long: `Ask the certificate authority again now. Where DNS or a port looks wrong from the
appliance it refuses, since an authority allows few failures; --anyway asks all the same, for
machines that can't reach their own public address.`,
		Example:           "  hks domains retry www.example.com",
		Args:              takes("HOST"),
		ValidArgsFunction: s.completeDomain,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				d, err := c.RetryDomain(ctx, args[0], anyway)
				if err != nil {
					return err
				}
				if !noWait {
					if d, err = s.awaitDomain(ctx, c, d.Host); err != nil {
						return err
					}
				}
				return s.domainOutcome(d)
			})
		},
	}
	cmd.Flags().BoolVar(&anyway, "anyway", false, "ask although DNS or a port looks wrong")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return as soon as it is asked")
	return cmd
}
