package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

func newMarketInfoCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "info CHART",
		Short:   "Show what a chart installs and which values it takes",
		Example: "  hks market info postgresql",
		Args:    takes("CHART"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return s.chartNames(cmd.Context(), len(args)), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				entry, err := c.CatalogueEntry(ctx, args[0])
				if err != nil {
					return err
				}
				return s.showEntry(entry)
			})
		},
	}
}

func (s *session) showEntry(entry agent.CatalogueEntry) error {
	if s.json {
		return s.screen.printJSON(entry)
	}
	s.screen.print("%s %s: %s", clean(entry.Title), clean(entry.AppVersion), clean(entry.Description))
	if len(entry.Env) > 0 {
		s.screen.print("a bound app gets %s", strings.Join(entry.Env, ", "))
	}
	var schema struct {
		Properties map[string]struct {
			Description string `json:"description"`
		} `json:"properties"`
	}
	if len(entry.Schema) > 0 {
		if err := json.Unmarshal(entry.Schema, &schema); err != nil {
			return fmt.Errorf("reading the chart's schema: %w", err)
		}
	}
	s.screen.print("")
	t := newTable("VALUE", "DEFAULT", "MEANING")
	for _, name := range slices.Sorted(maps.Keys(entry.Values)) {
		t.row(name, firstLine(fmt.Sprint(entry.Values[name])), schema.Properties[name].Description)
	}
	if err := t.write(s.screen.out, s.screen.style); err != nil {
		return err
	}
	s.screen.print("\ninstall it: hks market install %s NAME [--set VALUE=...]", clean(entry.Name))
	return nil
}

// chartNames is for completion.
func (s *session) chartNames(ctx context.Context, args int) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || args > 0 {
		return nil
	}
	catalogue, err := c.Catalogue(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range catalogue {
		names = append(names, entry.Name+"\t"+entry.Description)
	}
	return names
}
