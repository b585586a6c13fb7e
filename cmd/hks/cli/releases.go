package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type releasesOptions struct {
	*session
	app         string
	environment string
	number      int // 0: list all
	follow      bool
	timeout     time.Duration
}

func newReleasesCommand(s *session) *cobra.Command {
	o := releasesOptions{session: s}
	cmd := &cobra.Command{
		Use:   "releases APP [RELEASE]",
		Short: "List the releases of an application, or show one",
		Long: `List the releases of an application, or show one: its configuration and, when it
failed, why, the exit code and the last lines that the container wrote.`,
		Example: `  hks releases web
  hks releases web 12
  hks releases web 13 --follow    # of a deployment that is on its way`,
		Args:              takes("APP", "[RELEASE]"),
		ValidArgsFunction: s.completeApp(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.app = args[0]
			if len(args) > 1 {
				var err error
				if o.number, err = parseRelease(args[1]); err != nil {
					return err
				}
			}
			return o.run(cmd.Context())
		},
	}
	environmentFlag(cmd, &o.environment)
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "watch the release (the newest if none is named) to its end")
	cmd.Flags().DurationVar(&o.timeout, "timeout", deployTimeout, "how long to watch")
	return cmd
}

func (o *releasesOptions) run(ctx context.Context) error {
	ref, err := parseRef(o.app, o.environment)
	if err != nil {
		return err
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		if o.number == 0 {
			return o.all(ctx, c, ref)
		}
		if o.follow {
			return o.watchRelease(ctx, c, ref, o.number, o.timeout)
		}
		r, err := c.Release(ctx, ref.name, ref.env, o.number)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(r)
		}
		return o.show(ref, r)
	})
}

func (o *releasesOptions) all(ctx context.Context, c *client.Client, ref appRef) error {
	releases, err := c.Releases(ctx, ref.name, ref.env)
	if err != nil {
		return err
	}
	if o.follow {
		if len(releases) == 0 {
			return agent.Errorf(agent.CodeNotFound, "deploy it first: hks deploy --name "+ref.name, "%s has no release to follow", ref)
		}
		return o.watchRelease(ctx, c, ref, releases[0].Number, o.timeout)
	}
	if o.json {
		return o.screen.printJSON(listOf(releases))
	}
	t := newTable("RELEASE", "STATUS", "KIND", "IMAGE", "DIGEST", "BY", "WHEN", "WHY")
	for _, r := range releases {
		why := ""
		if r.Failure != nil {
			why = firstLine(r.Failure.Message)
		}
		t.row(strconv.Itoa(r.Number), o.screen.style.status(string(r.Status)), kindText(r), imagesText(r.Spec),
			shortDigest(r.Digests[r.Spec.Main().Name]), r.By, ago(o.now(), r.CreatedAt), why)
	}
	return t.write(o.screen.out, o.screen.style)
}

func addComponent(f *facts, c agent.Component, digest string) {
	f.add("Image", c.Image)
	f.add("Digest", digest)
	if c.Port != 0 {
		f.add("Port", strconv.Itoa(c.Port))
	}
	f.add("Host", c.Host)
	f.add("Path", c.Path)
	f.add("Health", c.Health)
	f.add("CPU", c.CPU)
	f.add("Memory", c.Memory)
	f.add("Command", strings.Join(c.Command, " "))
	f.add("Release", strings.Join(c.Release, " "))
	f.add("Secrets", strings.Join(c.Secrets, ", "))
	f.add("Variables", strings.Join(slices.Sorted(maps.Keys(c.Env)), "\n"))
}

func kindText(r agent.Release) string {
	if r.From > 0 {
		return fmt.Sprintf("%s to %d", r.Kind, r.From)
	}
	return r.Kind
}

func (o *releasesOptions) show(ref appRef, r agent.Release) error {
	style := o.screen.style
	f := facts{}
	f.add("Release", style.bold(fmt.Sprintf("%s %d", ref, r.Number)))
	f.add("Status", style.status(string(r.Status)))
	f.add("Kind", kindText(r))
	f.add("By", r.By)
	f.add("Created", ago(o.now(), r.CreatedAt))
	if !r.FinishedAt.IsZero() {
		f.add("Took", r.FinishedAt.Sub(r.CreatedAt).Round(100*time.Millisecond).String())
	}
	for _, c := range r.Spec.Components {
		if len(r.Spec.Components) > 1 {
			f.add("Component", style.bold(c.Name))
		}
		addComponent(&f, c, r.Digests[c.Name])
	}
	f.add("Env", strings.Join(slices.Sorted(maps.Keys(r.Spec.Env)), "\n"))
	if r.Failure != nil {
		f.add("Failure", style.red(clean(r.Failure.Message)))
		f.add("Fix", r.Failure.Fix)
		if r.Failure.ExitCode != nil {
			f.add("Exit code", strconv.Itoa(*r.Failure.ExitCode))
		}
	}
	if err := f.write(o.screen.out, style); err != nil {
		return err
	}
	if r.Failure != nil && len(r.Failure.Logs) > 0 {
		o.screen.print("\n%s", style.dim("last lines of the failed container:"))
		for _, line := range r.Failure.Logs {
			o.screen.print("  %s", clean(line))
		}
	}
	return nil
}
