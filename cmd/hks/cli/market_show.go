package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketShowCommand(s *session) *cobra.Command {
	var credentials bool
	cmd := &cobra.Command{
		Use:   "show SERVICE",
		Short: "Show a service: status, bound apps, backups, its last job",
		Example: `  hks market show db
  hks market show db --credentials`,
		Args:              takes("SERVICE"),
		ValidArgsFunction: s.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if credentials {
					held, err := c.Credentials(ctx, args[0])
					if err != nil {
						return err
					}
					return s.showCredentials(held)
				}
				service, err := c.Service(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showService(service)
			})
		},
	}
	cmd.Flags().BoolVar(&credentials, "credentials", false, "show how to log in; that you looked is recorded")
	return cmd
}

func (s *session) showCredentials(held agent.Credentials) error {
	if s.json {
		return s.screen.printJSON(held)
	}
	for _, name := range slices.Sorted(maps.Keys(held.Env)) {
		s.screen.print("%s=%s", clean(name), clean(held.Env[name]))
	}
	return nil
}

func (s *session) showService(service agent.Service) error {
	if s.json {
		return s.screen.printJSON(service)
	}
	s.screen.print("%s  %s %s  %s", clean(service.Name), clean(service.Title), clean(service.AppVersion), s.screen.style.status(string(service.Status)))
	if service.Reason != "" {
		s.screen.print("  why       %s", clean(service.Reason))
	}
	if service.Fix != "" {
		s.screen.print("  fix       %s", clean(service.Fix))
	}
	if service.Port > 0 {
		s.screen.print("  at        %s:%d, for apps of the workspace", service.Host, service.Port)
	}
	s.screen.print("  storage   %s", bytesText(service.StorageBytes))
	for _, name := range slices.Sorted(maps.Keys(service.Values)) {
		s.screen.print("  value     %s = %s", clean(name), clean(fmt.Sprint(service.Values[name])))
	}
	for _, b := range service.Bindings {
		s.screen.print("  bound to  %s/%s by release %d: %s", b.App, b.Environment, b.Release, strings.Join(b.Names, " "))
	}
	if b := service.LastBackup; b != nil {
		s.screen.print("  backup    %d, %s, %s", b.ID, ago(s.now(), b.CreatedAt), bytesText(b.Bytes))
	}
	if v := service.Verified; v != nil {
		s.screen.print("  verified  backup %d, %s: %s", v.Backup, ago(s.now(), v.At), clean(v.Message))
	}
	if p := service.Schedule; p != nil {
		s.screen.print("  schedule  every %d hours, %d kept; next %s", p.EveryHours, p.Keep, dateText(p.Next))
	}
	if !service.KeptUntil.IsZero() {
		s.screen.print("  kept      its volume and backups stay until %s", dateText(service.KeptUntil))
	}
	if j := service.Job; j != nil {
		s.screen.print("  last job  %s %s, %s", j.Kind, s.screen.style.status(string(j.Status)), ago(s.now(), j.CreatedAt))
		for _, step := range j.Steps {
			s.screen.print("            %s", clean(step.Text))
		}
		if j.Failure != nil {
			s.screen.print("            %s", clean(j.Failure.Message))
		}
	}
	return nil
}
