package cli

import (
	"context"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type openOptions struct {
	*session
	app         string
	environment string
	printOnly   bool
}

func newOpenCommand(s *session) *cobra.Command {
	o := openOptions{session: s}
	cmd := &cobra.Command{
		Use:   "open APP",
		Short: "Print an application's URL and open it in a browser",
		Long:  "Print an application's URL and, on a terminal with a desktop, open it in a browser.",
		Example: `  hks open web
  curl $(hks open web --print)`,
		Args:              takes("APP"),
		ValidArgsFunction: s.completeApp(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVar(&o.printOnly, "print", false, "only print it")
	return cmd
}

func (o *openOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		app, err := c.App(ctx, ref.name, ref.env)
		if err != nil {
			return err
		}
		if app.URL == "" {
			return agent.Errorf(agent.CodeNotFound, "see hks app show "+ref.arg(), "%s has no URL yet: it is %s", ref, app.Status)
		}
		if o.json {
			return o.screen.printJSON(map[string]string{"url": app.URL})
		}
		o.screen.print("%s", clean(app.URL))
		if o.printOnly || !o.screen.outTTY {
			return nil
		}
		return o.browse(ctx, app.URL)
	})
}

// browse hands the URL to the desktop. A machine without one is no error: the
// URL is printed already.
func (o *openOptions) browse(ctx context.Context, url string) error {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	} else if o.getenv("DISPLAY") == "" && o.getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	path, err := exec.LookPath(opener)
	if err != nil {
		return nil //nolint:nilerr // no desktop
	}
	ctx, cancel := context.WithTimeout(ctx, pollPause*20)
	defer cancel()
	if err := exec.CommandContext(ctx, path, url).Run(); err != nil {
		o.screen.note("the browser could not be opened: %v", err)
	}
	return nil
}
