package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type appListOptions struct {
	*session
	environment string
}

func newAppListCommand(s *session) *cobra.Command {
	o := appListOptions{session: s}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List applications",
		Example: `  hks app list
  hks app list -e production --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().Lookup("environment").Usage = "only those in staging or production"
	return cmd
}

// newAppsCommand is the short form of hks app list.
func newAppsCommand(s *session) *cobra.Command {
	cmd := newAppListCommand(s)
	cmd.Use = "apps"
	cmd.Short = "List applications (hks app list)"
	cmd.Example = "  hks apps"
	return cmd
}

func (o *appListOptions) run(ctx context.Context) error {
	if _, err := agent.ParseEnvironment(o.environment); err != nil {
		return asUsage(err)
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		all, err := c.Apps(ctx)
		if err != nil {
			return err
		}
		apps := []agent.App{}
		for _, app := range all {
			if o.environment == "" || o.environment == string(app.Environment) {
				apps = append(apps, app)
			}
		}
		if o.json {
			return o.screen.printJSON(apps)
		}
		if len(apps) == 0 {
			o.screen.note("nothing is deployed yet; try: hks deploy --name web --image IMAGE --port PORT")
			return nil
		}
		return o.show(apps)
	})
}

func (o *appListOptions) show(apps []agent.App) error {
	style := o.screen.style
	t := newTable("APP", "STATUS", "RELEASE", "READY", "CPU", "MEMORY", "IMAGE", "URL")
	for _, app := range apps {
		t.row(style.bold(appRef{app.Name, app.Environment}.String()), style.status(string(app.Status)), releaseText(app),
			readyOf(app), cpuText(app.Usage), memoryText(app.Usage), app.Image, app.URL)
	}
	if err := t.write(o.screen.out, style); err != nil {
		return err
	}
	for _, app := range apps {
		if app.Maintenance != nil {
			o.screen.print("%s: %s", appRef{app.Name, app.Environment}, maintenanceText(app))
		}
		for _, c := range app.Components {
			if c.Autoscale != nil && c.Autoscale.Reason != "" && app.Status != agent.AppStopped {
				o.screen.print("%s: %s: %s", appRef{app.Name, app.Environment}, c.Name, clean(c.Autoscale.Reason))
			}
		}
		if app.Reason != "" {
			o.screen.print("%s: %s", appRef{app.Name, app.Environment}, clean(app.Reason))
			if app.Fix != "" {
				o.screen.print("  %s %s", style.cyan("fix:"), clean(app.Fix))
			}
		}
	}
	return nil
}

// readyOf is how many instances are ready, and between which bounds their
// number follows the load.
func readyOf(app agent.App) string {
	text, least, most := fmt.Sprintf("%d/%d", app.Ready, app.Replicas), 0, 0
	for _, c := range app.Components {
		bounds := agent.Fixed(c.Replicas)
		if c.Autoscale != nil {
			bounds = agent.Scale{Min: c.Autoscale.Min, Max: c.Autoscale.Max}
		}
		least, most = least+bounds.Min, most+bounds.Max
	}
	if least == most {
		return text
	}
	return fmt.Sprintf("%s (%d-%d)", text, least, most)
}

// releaseText is the release that serves, and the one on its way.
func releaseText(app agent.App) string {
	text := "-"
	if app.Release > 0 {
		text = strconv.Itoa(app.Release)
	}
	if app.Target > 0 && app.Target != app.Release {
		text += " -> " + strconv.Itoa(app.Target)
	}
	return text
}
