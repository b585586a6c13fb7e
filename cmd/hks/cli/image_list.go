package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type imageListOptions struct{ *session }

func newImageListCommand(s *session) *cobra.Command {
	o := imageListOptions{session: s}
	return &cobra.Command{
		Use:     "list",
		Short:   "List images of the appliance's own registry",
		Example: "  hks image list",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
}

func (o *imageListOptions) run(ctx context.Context) error {
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		images, err := c.Images(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return o.screen.printJSON(listOf(images))
		}
		if len(images) == 0 {
			o.screen.note("the registry is empty; load an image: hks image load FILE.tar")
			return nil
		}
		return o.showImages(images)
	})
}

func (s *session) showImages(images []agent.Image) error {
	t := newTable("IMAGE", "DIGEST", "SIZE", "STORED", "USED BY")
	for _, i := range images {
		t.row(i.Name, shortDigest(i.Digest), bytesText(i.SizeBytes), ago(s.now(), i.StoredAt), usedByText(i.UsedBy))
	}
	return t.write(s.screen.out, s.screen.style)
}

// usedByText names the apps that need an image, each once.
func usedByText(uses []agent.ImageUse) string {
	var apps []string
	for _, use := range uses {
		if app := use.App + "/" + string(use.Environment); !slices.Contains(apps, app) {
			apps = append(apps, app)
		}
	}
	return strings.Join(apps, ", ")
}
