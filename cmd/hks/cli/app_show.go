package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appShowOptions struct {
	*session
	app         string
	environment string
}

func newAppShowCommand(s *session) *cobra.Command {
	o := appShowOptions{session: s}
	cmd := &cobra.Command{
		Use:   "show APP",
		Short: "Show an application with its instances",
		Example: `  hks app show web
  hks app show web/production --json`,
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

func (o *appShowOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		app, err := c.App(ctx, ref.name, ref.env)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(app)
		}
		return o.show(ref, app)
	})
}

func (o *appShowOptions) show(ref appRef, app agent.App) error {
	style := o.screen.style
	f := facts{}
	f.add("App", style.bold(ref.String()))
	f.add("Status", style.status(string(app.Status)))
	f.add("Reason", app.Reason)
	f.add("Fix", app.Fix)
	f.add("Maintenance", maintenanceText(app))
	f.add("URL", app.URL)
	f.add("Release", releaseText(app))
	f.add("Image", app.Image)
	f.add("Digest", app.Digest)
	f.add("Ready", fmt.Sprintf("%d of %d", app.Ready, app.Replicas))
	if len(app.Components) == 1 {
		f.add("Autoscale", autoscaleText(app.Components[0].Autoscale))
	}
	f.add("CPU", cpuText(app.Usage))
	f.add("Memory", memoryText(app.Usage))
	f.add("Created", ago(o.now(), app.CreatedAt))
	f.add("Updated", ago(o.now(), app.UpdatedAt))
	if err := f.write(o.screen.out, style); err != nil {
		return err
	}
	if len(app.Components) > 1 {
		o.screen.print("")
		if err := o.showComponents(app.Components); err != nil {
			return err
		}
	}
	if len(app.Instances) == 0 {
		return nil
	}
	o.screen.print("")
	return o.showInstances(app.Instances)
}

// maintenanceText tells of an application's maintenance page; empty: there is none.
func maintenanceText(app agent.App) string {
	if app.Maintenance == nil {
		return ""
	}
	text := "its maintenance page is shown"
	switch {
	case !app.Maintenance.On:
		return "its maintenance page is being taken away"
	case !app.Maintenance.Applied:
		text = "its maintenance page is on its way"
	}
	if app.Maintenance.Message != "" {
		text += ": " + clean(app.Maintenance.Message)
	}
	return text
}

// showComponents prints what an application is made of.
func (s *session) showComponents(components []agent.ComponentState) error {
	t := newTable("COMPONENT", "READY", "IMAGE", "CPU", "MEMORY", "URL")
	for _, c := range components {
		t.row(c.Name, readyText(c), c.Image, cpuText(c.Usage), memoryText(c.Usage), c.URL)
	}
	if err := t.write(s.screen.out, s.screen.style); err != nil {
		return err
	}
	for _, c := range components {
		if c.Autoscale != nil {
			s.screen.print("%s: %s", c.Name, autoscaleText(c.Autoscale))
		}
	}
	return nil
}

// readyText is how many instances of a component are ready, and between which
// bounds their number follows the load.
func readyText(c agent.ComponentState) string {
	text := fmt.Sprintf("%d of %d", c.Ready, c.Replicas)
	if c.Autoscale != nil {
		text += " (" + boundsText(c.Autoscale) + ")"
	}
	return text
}

// showInstances prints the pods of an application.
func (s *session) showInstances(instances []agent.Instance) error {
	t := newTable("INSTANCE", "PHASE", "RELEASE", "RESTARTS", "CPU", "MEMORY", "STARTED", "REASON")
	for _, i := range instances {
		t.row(i.Name, s.screen.style.status(i.Phase), strconv.Itoa(i.Release), strconv.Itoa(i.Restarts),
			cpuText(i.Usage), memoryText(i.Usage), ago(s.now(), i.StartedAt), i.Reason)
	}
	return t.write(s.screen.out, s.screen.style)
}
