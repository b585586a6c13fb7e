package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type domainsAddOptions struct {
	*session
	app, environment, host, component string
	noWait                            bool
}

func newDomainsAddCommand(s *session) *cobra.Command {
	o := domainsAddOptions{session: s}
	cmd := &cobra.Command{
		Use:   "add APP HOST",
		Short: "Make a host of your own lead to an application",
		Long: `Make a host of your own lead to an application, and wait until it has a certificate.
Where DNS or a port is not right yet, it says what is missing and ends; the appliance goes
on looking, and asks for the certificate by itself when it is right.

*.HOST is every name one label below; it needs a certificate of your own (hks domains cert).`,
		Example: `  hks domains add web www.example.com
  hks domains add shop/production api.example.com --component backend`,
		Args:              takes("APP", "HOST"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app, o.host = args[0], args[1]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().StringVar(&o.component, "component", "", "lead to this component alone")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "return as soon as it is accepted")
	return cmd
}

func (o *domainsAddOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		d, err := c.AddDomain(ctx, ref.name, ref.env, o.component, o.host)
		if err != nil {
			return err
		}
		if !o.noWait {
			if d, err = o.awaitDomain(ctx, c, d.Host); err != nil {
				return err
			}
		}
		return o.domainOutcome(d)
	})
}

// domainTimeout is how long a command waits for a certificate.
const domainTimeout = 3 * time.Minute

// awaitDomain waits until a domain is valid, or waits for somebody else.
func (s *session) awaitDomain(ctx context.Context, c *client.Client, host string) (agent.Domain, error) {
	limited, cancel := context.WithTimeout(ctx, domainTimeout)
	defer cancel()
	told := ""
	for {
		d, err := c.Domain(limited, host)
		if err == nil {
			if d.Status != agent.DomainChecking && d.Status != agent.DomainAsking {
				return d, nil
			}
			words := "looking where " + d.Name + " leads to"
			if d.Status == agent.DomainAsking {
				words = "asking for a certificate for " + d.Name
			}
			if words != told && !s.json {
				told = words
				s.screen.note("%s", clean(words))
			}
			err = pause(limited, pollPause)
		}
		if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return d, agent.Errorf(agent.CodeConflict, "it goes on; look again with hks domains show "+host, "%s has no certificate after %s", host, domainTimeout)
		}
		if err != nil {
			return d, err
		}
	}
}

// domainOutcome prints a domain, and fails when the authority refused.
func (s *session) domainOutcome(d agent.Domain) error {
	if err := s.showDomain(d); err != nil {
		return err
	}
	if d.Status == agent.DomainFailed {
		return &agent.Error{Code: agent.CodeConflict, Message: "there is no certificate for " + d.Name + ": " + d.Reason, Fix: d.Fix}
	}
	return nil
}
