package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

type marketInstallOptions struct {
	jobOptions
	chart, name string
	storage     string
	set         []string
}

func newMarketInstallCommand(s *session) *cobra.Command {
	o := marketInstallOptions{jobOptions: jobOptions{session: s}}
	cmd := &cobra.Command{
		Use:   "install CHART [NAME]",
		Short: "Install a service",
		Long: `Install a service. CHART is a name of the catalogue, a folder with a Helm chart of
your own (it begins with . or /), its archive (.tgz), or oci://HOST/PATH:VERSION.
Without NAME it is called as the chart. The name of a service that was removed
brings it back with the data of its volume, as long as that is kept.`,
		Example: `  hks market install postgresql db
  hks market install postgresql db --storage 4Gi --set memory=512Mi
  hks market install ./charts/mine mine`,
		Args: takes("CHART", "[NAME]"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return s.chartNames(cmd.Context(), len(args)), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.chart = args[0]
			if len(args) > 1 {
				o.name = args[1]
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.storage, "storage", "", "size of the volume, such as 4Gi; the same as --set storage=")
	cmd.Flags().StringArrayVar(&o.set, "set", nil, "a value of the chart: NAME=VALUE")
	return cmd
}

func (o *marketInstallOptions) run(ctx context.Context) error {
	values, err := valuesOf(o.set)
	if err != nil {
		return err
	}
	if o.storage != "" {
		values["storage"] = o.storage
	}
	return o.call(ctx, func(ctx context.Context, c *client.Client) error {
		chart, err := o.uploaded(ctx, c)
		if err != nil {
			return err
		}
		name := o.name
		if name == "" {
			name = strings.TrimSuffix(path.Base(chart), path.Ext(chart))
		}
		job, err := c.InstallService(ctx, agent.ServiceRequest{Name: name, Chart: chart, Values: values})
		if err != nil {
			return err
		}
		if _, err := o.follow(ctx, c, job); err != nil || o.json || o.noWait {
			return err
		}
		o.screen.print("%s is installed; give it to an app: hks bind APP %s", name, name)
		return nil
	})
}

// uploaded adds a chart of the caller's own to the catalogue first.
func (o *marketInstallOptions) uploaded(ctx context.Context, c *client.Client) (string, error) {
	if !strings.HasPrefix(o.chart, ".") && !strings.HasPrefix(o.chart, "/") && !strings.HasSuffix(o.chart, ".tgz") {
		return o.chart, nil
	}
	info, err := os.Stat(o.chart)
	if err != nil {
		return "", usagef("check the name", "the chart can't be read: %w", err)
	}
	var archive []byte
	if info.IsDir() {
		archive, err = packChart(o.chart)
	} else {
		archive, err = os.ReadFile(o.chart)
	}
	if err != nil {
		return "", usagef("check the folder", "the chart can't be read: %w", err)
	}
	entry, err := c.AddChart(ctx, bytes.NewReader(archive))
	return entry.Name, err
}

// maxChartFile bounds a file of a chart, in bytes.
const maxChartFile = 8 << 20

// packChart packs a chart's folder as helm package does: under one folder.
func packChart(folder string) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(name, ".git/") {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if len(data) > maxChartFile || out.Len() > maxChartFile {
			return fmt.Errorf("%s makes it larger than %d MiB", name, maxChartFile>>20)
		}
		if err := archive.WriteHeader(&tar.Header{Name: "chart/" + name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = archive.Write(data)
		return err
	})
	if err == nil {
		err = archive.Close()
	}
	if err == nil {
		err = compressed.Close()
	}
	return out.Bytes(), err
}
