package cli

import (
	"context"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketListCommand(s *session) *cobra.Command {
	var installed bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is installed, and what can be",
		Example: `  hks market list
  hks market list --installed --json`,
		Args:              takes(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				services, err := c.Services(ctx)
				if err != nil {
					return err
				}
				var catalogue []agent.CatalogueEntry
				if !installed {
					if catalogue, err = c.Catalogue(ctx); err != nil {
						return err
					}
				}
				return s.showMarket(services, catalogue, installed)
			})
		},
	}
	cmd.Flags().BoolVar(&installed, "installed", false, "only what is installed")
	return cmd
}

func (s *session) showMarket(services []agent.Service, catalogue []agent.CatalogueEntry, installed bool) error {
	if s.json {
		if installed {
			return s.screen.printJSON(listOf(services))
		}
		return s.screen.printJSON(map[string]any{"installed": listOf(services), "catalogue": listOf(catalogue)})
	}
	if len(services) > 0 {
		t := newTable("SERVICE", "IS", "STATUS", "STORAGE", "BOUND TO", "LAST BACKUP", "WHY")
		for _, service := range services {
			t.row(service.Name, service.Title+" "+service.AppVersion, s.screen.style.status(string(service.Status)), bytesText(service.StorageBytes),
				boundText(service), s.backupText(service), firstLine(service.Reason))
		}
		if err := t.write(s.screen.out, s.screen.style); err != nil {
			return err
		}
	} else if installed {
		s.screen.note("nothing is installed; see what can be: hks market list")
	}
	if installed {
		return nil
	}
	if len(services) > 0 {
		s.screen.print("")
	}
	t := newTable("CHART", "VERSION", "DESCRIPTION")
	for _, entry := range catalogue {
		description := entry.Description
		if entry.Own {
			description = "(your own) " + description
		}
		t.row(entry.Name, entry.AppVersion, description)
	}
	return t.write(s.screen.out, s.screen.style)
}

func boundText(service agent.Service) string {
	switch len(service.Bindings) {
	case 0:
		return ""
	case 1:
		return service.Bindings[0].App + "/" + string(service.Bindings[0].Environment)
	}
	return plural(len(service.Bindings), "app")
}

func (s *session) backupText(service agent.Service) string {
	if service.LastBackup == nil {
		return ""
	}
	return ago(s.now(), service.LastBackup.CreatedAt)
}
