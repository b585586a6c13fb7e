package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type imageLoadOptions struct {
	*session
	file string
	name string
}

func newImageLoadCommand(s *session) *cobra.Command {
	o := imageLoadOptions{session: s}
	cmd := &cobra.Command{
		Use:   "load FILE.tar",
		Short: "Load an archive of docker save (or an OCI archive) into the registry",
		Example: `  docker save web:1 -o web.tar && hks image load web.tar
  docker save web:1 | hks image load -
  hks image load layout.tar --name web:1`,
		Args: takes("FILE.tar"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "call the image this, such as web:1 (default: as the archive says)")
	return cmd
}

func (o *imageLoadOptions) run(ctx context.Context) error {
	file, size, err := o.open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		upload := uploadView{session: o.session, size: size}
		archive, size := io.Reader(file), size
		if o.name != "" {
			copied := renamed(file, o.name)
			defer func() { _ = copied.Close() }() // ends the copying
			archive, size = copied, -1
		}
		images, err := c.LoadImage(ctx, archive, size, upload.progress)
		upload.end()
		if err != nil {
			return err
		}
		if o.name != "" && !slices.ContainsFunc(images, func(i agent.Image) bool { return i.Name == o.name || i.Name == o.name+":latest" }) {
			return agent.Errorf(agent.CodeInvalidImage, "see hks image list", "the image was loaded, but not under the name %s", o.name)
		}
		if o.json {
			return o.screen.printJSON(listOf(images))
		}
		if err := o.showImages(images); err != nil {
			return err
		}
		if len(images) == 1 {
			o.screen.note("deploy it: hks deploy --name %s --image %s --port PORT", appNameOf(images[0].Name), images[0].Name)
		}
		return nil
	})
}

// open returns the archive and its size; -1 when that can't be known.
func (o *imageLoadOptions) open() (*os.File, int64, error) {
	if o.file == "-" {
		return o.screen.in, -1, nil
	}
	file, err := os.Open(o.file)
	if err != nil {
		return nil, 0, usagef("make one: docker save IMAGE -o FILE.tar", "the archive can't be read: %w", err)
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		err = usagef("make one: docker save IMAGE -o FILE.tar", "%s is no archive: it is empty or not a file", o.file)
	}
	if err != nil {
		_ = file.Close() // the first error is the one to tell
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// appNameOf is the last part of an image's name, without tag and digest.
func appNameOf(image string) string {
	name := image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// uploadView shows how far an upload got, on a terminal.
type uploadView struct {
	*session
	size  int64
	drawn time.Time
	shown bool
}

func (v *uploadView) progress(sent int64) {
	now := v.now()
	if !v.screen.errTTY || v.json || sent < v.size && now.Sub(v.drawn) < redrawPause {
		return
	}
	v.drawn, v.shown = now, true
	text := bytesText(sent)
	if v.size > 0 {
		text = fmt.Sprintf("%s %3.0f%%  %s of %s", bar(v.screen.errStyle, float64(sent), float64(v.size), 30), 100*float64(sent)/float64(v.size), text, bytesText(v.size))
		if sent == v.size {
			text += "  pushing"
		}
	}
	fmt.Fprintf(v.screen.err, "\r\x1b[2K%s", text)
}

func (v *uploadView) end() {
	if v.shown {
		fmt.Fprint(v.screen.err, "\r\x1b[2K")
	}
}
