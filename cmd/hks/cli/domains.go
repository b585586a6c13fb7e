package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newDomainsCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "domains",
		Aliases: []string{"domain"},
		Short:   "Give applications hosts of your own, with certificates",
		Long: `Give applications hosts of your own, with certificates.

A domain belongs to an application and outlives its releases. Where it points to, and
whether ports 80 and 443 lead to the appliance, is checked before a certificate is asked for.`,
		Args: noCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newDomainsAddCommand(s), newDomainsListCommand(s), newDomainsShowCommand(s), newDomainsCheckCommand(s),
		newDomainsRetryCommand(s), newDomainsCertCommand(s), newDomainsRemoveCommand(s),
	)
	return cmd
}

// completeDomain offers the domains.
func (s *session) completeDomain(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	domains, err := c.Domains(ctx, "", "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var hosts []string
	for _, d := range domains {
		hosts = append(hosts, d.Host+"\t"+string(d.Status)+", "+d.App+"/"+string(d.Environment))
	}
	return hosts, cobra.ShellCompDirectiveNoFileComp
}

// showDomain prints all that is known of a domain.
func (s *session) showDomain(d agent.Domain) error {
	if s.json {
		return s.screen.printJSON(d)
	}
	style := s.screen.style
	f := facts{}
	f.add("Domain", style.bold(d.Name))
	if d.Name != d.Host {
		f.add("In DNS", d.Host)
	}
	f.add("App", appRef{d.App, d.Environment}.String())
	f.add("Component", d.Component)
	f.add("Status", style.status(string(d.Status)))
	f.add("Reason", d.Reason)
	f.add("Fix", d.Fix)
	f.add("Next try", s.until(d.NextTry))
	f.add("URL", d.URL)
	if !d.CheckedAt.IsZero() {
		f.add("DNS", s.look(d.Check.DNS))
		f.add("Port 80", s.look(d.Check.HTTP))
		f.add("Port 443", s.look(d.Check.HTTPS))
		f.add("Should be", strings.Join(d.Check.Expected, ", "))
		f.add("Checked", ago(s.now(), d.CheckedAt))
	}
	if c := d.Certificate; c.Source != "" {
		source := "asked for and renewed by hks"
		if c.Source == agent.CertificateOwn {
			source = "your own"
		}
		f.add("Certificate", source)
		f.add("Issuer", c.Issuer)
		f.add("Valid until", c.ValidUntil.Local().Format(time.DateTime))
		if !c.RenewAt.IsZero() {
			f.add("Renewal", c.RenewAt.Local().Format(time.DateTime))
		}
	}
	f.add("Added", ago(s.now(), d.CreatedAt))
	return f.write(s.screen.out, style)
}

func (s *session) look(l agent.Look) string {
	switch {
	case l.Message == "":
		return ""
	case l.OK:
		return s.screen.style.green("ok") + "  " + clean(l.Message)
	}
	return s.screen.style.red("no") + "  " + clean(l.Message)
}

// until says how long it is to a time to come.
func (s *session) until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	left := t.Sub(s.now())
	if left <= 0 {
		return "now"
	}
	return "in " + max(left.Round(time.Second), time.Second).String()
}

// onDomain runs what is asked of one domain, and shows it.
func (s *session) onDomain(ctx context.Context, ask func(context.Context, *client.Client) (agent.Domain, error)) error {
	return s.call(ctx, func(ctx context.Context, c *client.Client) error {
		d, err := ask(ctx, c)
		if err != nil {
			return err
		}
		return s.showDomain(d)
	})
}
