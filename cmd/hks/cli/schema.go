package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/manifest"
)

func newSchemaCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of hks.yaml, for editors",
		Long: `Print the JSON schema (draft 2020-12) of hks.yaml. Editors that speak YAML's language
server use it when the file begins with

  # yaml-language-server: $schema=hks.schema.json`,
		Example: `  hks schema > hks.schema.json`,
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			if _, err := s.screen.out.Write(manifest.Schema()); err != nil {
				return fmt.Errorf("writing the schema: %w", err)
			}
			return nil
		},
	}
}
