package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type envListOptions struct {
	*session
	app         string
	environment string
}

func newEnvListCommand(s *session) *cobra.Command {
	o := envListOptions{session: s}
	cmd := &cobra.Command{
		Use:   "list APP",
		Short: "List the names of environment variables; values stay hidden",
		Long: `List the environment variables of the latest release: those that were set, whose values
stay hidden, and those that a component has from the project's file, in the clear.`,
		Example:           "  hks env list web",
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	return cmd
}

// variable is one line of the list.
type variable struct {
	Name       string   `json:"name"`
	Value      string   `json:"value"`
	Components []string `json:"components"` // that have it; empty: all
}

func (o *envListOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		spec, err := latestSpec(ctx, c, ref)
		if err != nil {
			return err
		}
		variables := variablesOf(spec)
		if o.json {
			return o.screen.printJSON(listOf(variables))
		}
		if len(variables) == 0 {
			o.screen.note("%s has no variables; set one: hks env set %s KEY=VALUE", ref, ref.arg())
			return nil
		}
		t := newTable("NAME", "VALUE", "COMPONENTS")
		for _, v := range variables {
			where := "all"
			if len(v.Components) > 0 {
				where = strings.Join(v.Components, ", ")
			}
			t.row(v.Name, v.Value, where)
		}
		return t.write(o.screen.out, o.screen.style)
	})
}

// variablesOf lists what the components of an application get.
func variablesOf(spec agent.Spec) []variable {
	asked := map[string][]string{}
	for _, c := range spec.Components {
		for _, name := range c.Secrets {
			asked[name] = append(asked[name], c.Name)
		}
	}
	var variables []variable
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		variables = append(variables, variable{Name: name, Value: agent.HiddenValue, Components: asked[name]})
	}
	for _, c := range spec.Components {
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			if _, stronger := spec.Env[name]; !stronger {
				variables = append(variables, variable{Name: name, Value: c.Env[name], Components: []string{c.Name}})
			}
		}
	}
	return variables
}
