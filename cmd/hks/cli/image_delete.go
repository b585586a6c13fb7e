package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent/client"
)

type imageDeleteOptions struct {
	*session
	name string
}

func newImageDeleteCommand(s *session) *cobra.Command {
	o := imageDeleteOptions{session: s}
	return &cobra.Command{
		Use:     "delete NAME:TAG",
		Short:   "Remove an image that no kept release needs",
		Example: "  hks image delete web:1",
		Args:    takes("NAME:TAG"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return s.imageNames(cmd.Context(), len(args)), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
}

func (o *imageDeleteOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		done, err := c.DeleteImage(ctx, o.name)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(done)
		}
		for _, image := range done.Removed {
			o.screen.print("%s is removed, %s freed", clean(image.Name), bytesText(done.FreedBytes))
		}
		return nil
	})
}

// imageNames is for completion: what nobody needs, and empty when anything
// fails.
func (s *session) imageNames(ctx context.Context, args int) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c, err := s.client()
	if err != nil || args > 0 {
		return nil
	}
	images, err := c.Images(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, image := range images {
		if len(image.UsedBy) == 0 {
			names = append(names, image.Name+"\t"+bytesText(image.SizeBytes)+", "+ago(s.now(), image.StoredAt))
		}
	}
	slices.Sort(names)
	return names
}
