package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

const buildPrecision = 100 * time.Millisecond

func newBuildShowCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "show BUILD",
		Short:   "Show a build and the images it made",
		Example: "  hks build show 12",
		Args:    takes("BUILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseBuild(args[0])
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				b, err := c.Build(ctx, id)
				if err != nil {
					return err
				}
				return s.showBuild(b)
			})
		},
	}
}

func (s *session) showBuild(b agent.Build) error {
	if s.json {
		return s.screen.printJSON(b)
	}
	style := s.screen.style
	f := facts{}
	f.add("Build", style.bold(strconv.FormatInt(b.ID, 10)))
	f.add("App", b.App+"/"+string(b.Environment))
	f.add("Status", style.status(string(b.Status)))
	f.add("By", b.By)
	f.add("Created", ago(s.now(), b.CreatedAt))
	if b.Status.Done() && !b.StartedAt.IsZero() {
		f.add("Took", b.FinishedAt.Sub(b.StartedAt).Round(buildPrecision).String())
	}
	if b.Release > 0 {
		f.add("Release", strconv.Itoa(b.Release))
	}
	for _, c := range b.Components {
		f.add("Component", style.bold(c.Name))
		f.add("From", c.From)
		f.add("Image", c.Image)
		if c.Tested {
			f.add("Tests", "passed")
		}
	}
	if b.Failure != nil {
		f.add("Failure", style.red(clean(b.Failure.Message)))
		f.add("Fix", b.Failure.Fix)
	}
	return f.write(s.screen.out, style)
}

// parseBuild reads the number of a build.
func parseBuild(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("give its number: hks build list shows them", "%q is not a build", text)
	}
	return id, nil
}
