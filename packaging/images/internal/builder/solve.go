package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
)

// Job is one build.
type Job struct {
	Name       string            // of the image, as it is kept in the layout
	Context    string            // folder
	Dockerfile string            // file; default: Dockerfile in Context
	Target     string            // stage; default: the last
	Args       map[string]string // build arguments
	Secrets    map[string][]byte // offered to steps by id, never part of the image
	Bases      map[string]string // image name -> folder with the OCI layout that is taken for it
	Layout     string            // folder that gets the OCI layout; empty: the result is thrown away
	Epoch      string            // SOURCE_DATE_EPOCH, seconds; files that are younger get this time
	Log        func(line string)
}

// maxTail is how many lines of a failed build's output its error holds.
const maxTail = 60

// Build does a job. An error holds the end of the build's output.
func (d *Daemon) Build(ctx context.Context, job Job) error {
	dockerfile := job.Dockerfile
	if dockerfile == "" {
		dockerfile = filepath.Join(job.Context, "Dockerfile")
	}
	folder, err := fsutil.NewFS(job.Context)
	if err != nil {
		return fmt.Errorf("opening the context: %w", err)
	}
	recipe, err := fsutil.NewFS(filepath.Dir(dockerfile))
	if err != nil {
		return fmt.Errorf("opening the Dockerfile's folder: %w", err)
	}
	options := client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: map[string]string{"filename": filepath.Base(dockerfile)},
		LocalMounts:   map[string]fsutil.FS{"context": folder, "dockerfile": recipe},
		OCIStores:     map[string]content.Store{},
		SharedKey:     job.Context,
		Session:       []session.Attachable{secretsprovider.FromMap(job.Secrets)},
	}
	if job.Target != "" {
		options.FrontendAttrs["target"] = job.Target
	}
	for name, value := range job.Args {
		options.FrontendAttrs["build-arg:"+name] = value
	}
	if job.Epoch != "" {
		options.FrontendAttrs["build-arg:SOURCE_DATE_EPOCH"] = job.Epoch
	}
	if err := addBases(&options, job.Bases); err != nil {
		return err
	}
	if job.Layout != "" {
		options.Exports = []client.ExportEntry{{
			Type: client.ExporterOCI,
			Attrs: map[string]string{
				"name": job.Name, "tar": "false",
				"compression": "uncompressed", "force-compression": "true", "oci-mediatypes": "true",
			},
			OutputDir: job.Layout,
		}}
		if job.Epoch != "" {
			options.Exports[0].Attrs["rewrite-timestamp"] = "true"
		}
	}

	output := tail{log: job.Log}
	status := make(chan *client.SolveStatus)
	var reader sync.WaitGroup
	reader.Go(func() {
		for s := range status {
			output.add(s)
		}
	})
	_, err = d.Client.Solve(ctx, nil, options, status)
	reader.Wait()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", job.Name, err, strings.Join(output.lines, "\n"))
	}
	return nil
}

// addBases has the Dockerfile take images from layouts on the disk under the
// names that it writes after FROM.
func addBases(options *client.SolveOpt, bases map[string]string) error {
	for name, layout := range maps.All(bases) {
		store, err := local.NewStore(layout)
		if err != nil {
			return fmt.Errorf("opening %s: %w", layout, err)
		}
		descriptor, err := only(layout)
		if err != nil {
			return err
		}
		key := filepath.Base(layout)
		options.OCIStores[key] = store
		options.FrontendAttrs["context:"+name] = "oci-layout://" + key + "@" + descriptor.Digest.String()
	}
	return nil
}

// only returns the descriptor of a layout's one image.
func only(layout string) (v1.Descriptor, error) {
	text, err := os.ReadFile(filepath.Join(layout, v1.ImageIndexFile))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading a layout: %w", err)
	}
	var index v1.Index
	if err := json.Unmarshal(text, &index); err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading %s: %w", layout, err)
	}
	if len(index.Manifests) != 1 {
		return v1.Descriptor{}, errors.New(layout + " does not hold one image")
	}
	return index.Manifests[0], nil
}

// tail keeps the last lines of a build's output.
type tail struct {
	log   func(string)
	lines []string
}

func (t *tail) add(status *client.SolveStatus) {
	for _, vertex := range status.Vertexes {
		switch {
		case vertex.Completed == nil:
		case vertex.Cached:
			t.line("cached " + vertex.Name)
		default:
			t.line("done " + vertex.Name)
		}
	}
	for _, entry := range status.Logs {
		for line := range strings.Lines(string(entry.Data)) {
			t.line("  " + strings.TrimRight(line, "\r\n"))
		}
	}
}

func (t *tail) line(line string) {
	if t.log != nil {
		t.log(line)
	}
	t.lines = append(t.lines, line)
	if len(t.lines) > maxTail {
		t.lines = t.lines[len(t.lines)-maxTail:]
	}
}
