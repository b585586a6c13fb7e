package helm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/registry"

	"hks.dev/hks/agent"
)

// Chart is a chart that was read and checked.
type Chart struct{ loaded *chart.Chart }

// maxChart bounds a chart's files, unpacked or not.
const maxChart = 8 << 20

// Load reads a chart's folder.
func Load(files fs.FS) (*Chart, error) {
	var buffered []*loader.BufferedFile
	size := 0
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if size += len(data); err == nil && size > maxChart {
			err = errors.New("it is larger than 8 MiB")
		}
		buffered = append(buffered, &loader.BufferedFile{Name: path, Data: data})
		return err
	})
	if err != nil {
		return nil, refused(err)
	}
	loaded, err := loader.LoadFiles(buffered)
	return checked(loaded, err)
}

// LoadArchive reads a chart's archive (.tgz).
func LoadArchive(archive io.Reader) (*Chart, error) {
	return checked(loader.LoadArchive(io.LimitReader(archive, maxChart)))
}

// Pull fetches a chart from a registry: oci://HOST/PATH:VERSION.
func Pull(ctx context.Context, reference string) (*Chart, []byte, error) {
	name, ok := strings.CutPrefix(reference, registry.OCIScheme+"://")
	if !ok {
		return nil, nil, agent.Errorf(agent.CodeInvalid, "write it as oci://HOST/PATH:VERSION", "%q is not the address of a chart", reference)
	}
	client, err := registry.NewClient(registry.ClientOptWriter(io.Discard), registry.ClientOptEnableCache(false))
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to pull a chart: %w", err)
	}
	type pulled struct {
		result *registry.PullResult
		err    error
	}
	done := make(chan pulled, 1)
	go func() { // ends with the pull; the library takes no context
		result, err := client.Pull(name, registry.PullOptWithChart(true))
		done <- pulled{result, err}
	}()
	select {
	case <-ctx.Done():
		return nil, nil, agent.Errorf(agent.CodeInvalid, "see whether its registry answers", "the chart %s did not come in time", reference)
	case p := <-done:
		if p.err != nil {
			return nil, nil, agent.Errorf(agent.CodeInvalid, "see whether the name and the version are right", "the chart %s can't be pulled: %w", reference, p.err)
		}
		if len(p.result.Chart.Data) > maxChart {
			return nil, nil, refused(errors.New("it is larger than 8 MiB"))
		}
		c, err := LoadArchive(bytes.NewReader(p.result.Chart.Data))
		return c, p.result.Chart.Data, err
	}
}

func checked(loaded *chart.Chart, err error) (*Chart, error) {
	if err == nil {
		err = loaded.Validate()
	}
	if err == nil && loaded.Metadata.Type != "" && loaded.Metadata.Type != "application" {
		err = errors.New("it is a library, not an application")
	}
	if err == nil && len(loaded.CRDObjects()) > 0 {
		err = errors.New("it brings kinds of its own (CRDs), which belong to the whole cluster")
	}
	if err == nil {
		err = complete(loaded)
	}
	if err != nil {
		return nil, refused(err)
	}
	return &Chart{loaded}, nil
}

// complete refuses a chart whose dependencies are not in it.
func complete(loaded *chart.Chart) error {
	have := map[string]bool{}
	for _, dependency := range loaded.Dependencies() {
		have[dependency.Name()] = true
	}
	for _, dependency := range loaded.Metadata.Dependencies {
		if !have[dependency.Name] {
			return fmt.Errorf("its dependency %s is not in it: helm dependency build puts it there", dependency.Name)
		}
	}
	return nil
}

func refused(err error) error {
	return agent.Errorf(agent.CodeInvalid, "helm lint says more about a chart", "the chart can't be used: %w", err)
}

// Name is the chart's name.
func (c *Chart) Name() string { return c.loaded.Metadata.Name }

// Version is the chart's version.
func (c *Chart) Version() string { return c.loaded.Metadata.Version }

// AppVersion is the version of what it installs.
func (c *Chart) AppVersion() string { return c.loaded.Metadata.AppVersion }

// Description is one sentence on what it installs.
func (c *Chart) Description() string { return c.loaded.Metadata.Description }

// Annotation returns an annotation; empty when there is none.
func (c *Chart) Annotation(name string) string { return c.loaded.Metadata.Annotations[name] }

// Values are the chart's own values.
func (c *Chart) Values() map[string]any { return maps.Clone(c.loaded.Values) }

// Schema is the JSON schema of the chart's values; nil when it has none.
func (c *Chart) Schema() json.RawMessage { return c.loaded.Schema }

// Check holds values, laid over the chart's own, against its schema, and says
// in plain words what does not fit.
func (c *Chart) Check(values map[string]any) error {
	all, err := chartutil.CoalesceValues(c.loaded, values)
	if err != nil {
		return refused(err)
	}
	if err := chartutil.ValidateAgainstSchema(c.loaded, all); err != nil {
		return schemaWords(c.Name(), err)
	}
	return nil
}

// schemaWords turns the validator's report into one sentence a fault.
func schemaWords(name string, err error) error {
	var faults []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		fault, ok := strings.CutPrefix(line, "- ")
		if !ok {
			continue
		}
		if at, why, both := strings.Cut(fault, ": "); both && strings.HasPrefix(at, "at '") {
			field := strings.ReplaceAll(strings.Trim(strings.TrimPrefix(at, "at "), "'/"), "/", ".")
			if field == "" {
				field = "the values"
			}
			fault = field + ": " + why
		}
		faults = append(faults, fault)
	}
	if len(faults) == 0 {
		faults = []string{err.Error()}
	}
	slices.Sort(faults)
	return &agent.Error{
		Code: agent.CodeInvalid, Message: "the values do not fit the chart: " + strings.Join(slices.Compact(faults), "; "),
		Fix: "hks market info " + name + " lists the values", Details: map[string]any{"field": "values", "faults": faults}, Cause: err,
	}
}
