package cli

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type diffOptions struct {
	*session
	name        string
	environment string
	source      string
}

func newDiffCommand(s *session) *cobra.Command {
	o := diffOptions{session: s}
	cmd := &cobra.Command{
		Use:   "diff [APP]",
		Short: "Show what the next deploy of a project would change",
		Long: `Show what the next deploy of the project in this folder would change of the latest
release, without doing it. Values that were set with hks env or hks secret stay hidden; an
image that would be built is shown as its folder.`,
		Example: `  hks diff
  hks diff --source ./shop -e production`,
		Args:              takes("[APP]"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.name = args[0]
			}
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().StringVar(&o.source, "source", ".", "the project's folder")
	return cmd
}

func (o *diffOptions) run(ctx context.Context) error {
	src, err := openSource(o.source)
	if err != nil {
		return err
	}
	defer func() { _ = src.root.Close() }() // only read from
	if src.project == nil {
		return usagef("write one from what is in the folder: hks init", "there is no hks.yaml in %s", o.source)
	}
	if o.name == "" {
		o.name = src.project.App
	}
	ref, err := parseRef(o.name, o.environment)
	if err != nil {
		return err
	}
	deploy, err := src.deploy(ref.env)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		changes, err := c.Diff(ctx, ref.name, ref.env, deploy)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(listOf(changes))
		}
		o.show(ref, changes)
		return nil
	})
}

// deploy is what the file asks for, with folders in place of images that are
// not built yet.
func (s *source) deploy(env agent.Environment) (agent.Deploy, error) {
	components, err := s.project.Components(env)
	if err != nil {
		return agent.Deploy{}, err
	}
	d := agent.Deploy{Replicas: map[string]agent.Scale{}}
	for _, c := range components {
		part := c.Component
		if c.Build != nil {
			part.Image = "built from " + c.Build.Folder
		}
		d.Components = append(d.Components, part)
		if c.Replicas != (agent.Scale{}) {
			d.Replicas[c.Name] = c.Replicas
		}
	}
	return d, nil
}

func (o *diffOptions) show(ref appRef, changes []agent.Change) {
	if len(changes) == 0 {
		o.screen.note("%s would stay as it is", ref)
		return
	}
	byComponent := map[string][]agent.Change{}
	for _, change := range changes {
		byComponent[change.Component] = append(byComponent[change.Component], change)
	}
	style := o.screen.style
	for _, name := range slices.Sorted(maps.Keys(byComponent)) {
		title := name
		if title == "" {
			title = "all components"
		}
		o.screen.print("%s", style.bold(clean(title)))
		for _, change := range byComponent[name] {
			if change.From != "" {
				o.screen.print("%s", style.red("  - "+clean(change.Field)+": "+clean(change.From)))
			}
			if change.To != "" {
				o.screen.print("%s", style.green("  + "+clean(change.Field)+": "+clean(change.To)))
			}
		}
	}
}
