package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/store"
	"hks.dev/hks/charts"
)

// Annotations of charts; package charts says what they mean.
const (
	noteTitle  = "hks.dev/title"
	noteEngine = "hks.dev/engine"
	notePort   = "hks.dev/port"
	noteEnv    = "hks.dev/env"
	noteClient = "hks.dev/client"
	noteMajor  = "hks.dev/major"
)

// platformValues are set by the platform, and not shown.
var platformValues = []string{"image", "storageClass", "placement", "credentials", "global"}

// catalogue is the charts that can be installed: the embedded ones, and the
// owner's own, which are archives NAME-VERSION.tgz in a folder.
type catalogue struct{ folder string }

// find returns the chart of a name, and its archive when it is the owner's.
func (c *catalogue) find(name string) (*helm.Chart, string, error) {
	if files, ok := charts.Open(name); ok {
		chart, err := helm.Load(files)
		return chart, "", err
	}
	own, err := c.own()
	if err != nil {
		return nil, "", err
	}
	for _, archive := range slices.Backward(own) { // the newest upload counts
		if chart, err := c.open(archive); err == nil && chart.Name() == name {
			return chart, archive, nil
		}
	}
	known := charts.Names()
	fix := "hks market list shows what there is"
	if near := agent.Nearest(name, known); near != "" {
		fix = "did you mean " + near + "? " + fix
	}
	return nil, "", agent.Errorf(agent.CodeNotFound, fix, "the catalogue has no chart %q", name)
}

// of returns the chart that a service was made of.
func (c *catalogue) of(s store.Service) (*helm.Chart, error) {
	if s.Archive != "" {
		return c.open(s.Archive)
	}
	chart, _, err := c.find(s.Chart)
	return chart, err
}

// own lists the owner's archives, oldest first.
func (c *catalogue) own() ([]string, error) {
	entries, err := os.ReadDir(c.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the own charts: %w", err)
	}
	type aged struct {
		name string
		at   int64
	}
	var found []aged
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(entry.Name(), ".tgz") {
			found = append(found, aged{entry.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return int(min(max(a.at-b.at, -1), 1)) })
	names := make([]string, len(found))
	for i := range found {
		names[i] = found[i].name
	}
	return names, nil
}

func (c *catalogue) open(archive string) (*helm.Chart, error) {
	file, err := os.Open(filepath.Join(c.folder, archive))
	if err != nil {
		return nil, fmt.Errorf("opening an own chart: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	return helm.LoadArchive(file)
}

// add keeps a chart of the owner's and returns its archive's name.
func (c *catalogue) add(chart *helm.Chart, data []byte) (string, error) {
	if slices.Contains(charts.Names(), chart.Name()) {
		return "", agent.Errorf(agent.CodeConflict, "give your chart another name in its Chart.yaml", "the catalogue has a chart %s of its own", chart.Name())
	}
	if err := agent.ValidateName("chart", chart.Name()); err != nil {
		return "", err
	}
	if strings.ContainsAny(chart.Version(), `/\`) || len(chart.Version()) > 60 {
		return "", agent.Errorf(agent.CodeInvalid, "give it a version such as 1.0.0", "the chart's version %q can't be used", chart.Version())
	}
	name := chart.Name() + "-" + chart.Version() + ".tgz"
	return name, writeFile(filepath.Join(c.folder, name), data)
}

// writeFile puts a file in its place when it is whole and on disk.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // moved away when all went well
	_, err = temp.Write(data)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return errors.Join(os.Rename(temp.Name(), path), syncFolder(filepath.Dir(path)))
}

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Catalogue lists what can be installed.
func (m *Manager) Catalogue(context.Context) ([]agent.CatalogueEntry, error) {
	var entries []agent.CatalogueEntry
	for _, name := range charts.Names() {
		chart, _, err := m.catalogue.find(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entryOf(chart, ""))
	}
	own, err := m.catalogue.own()
	if err != nil {
		return nil, err
	}
	newest := map[string]agent.CatalogueEntry{}
	for _, archive := range own {
		chart, err := m.catalogue.open(archive)
		if err != nil {
			m.cfg.Log.Warn("an own chart can't be read", "archive", archive, "err", err)
			continue
		}
		newest[chart.Name()] = entryOf(chart, archive)
	}
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		entries = append(entries, newest[name])
	}
	return entries, nil
}

// Entry tells all of one entry, with the values that may be set.
func (m *Manager) Entry(_ context.Context, name string) (agent.CatalogueEntry, error) {
	chart, archive, err := m.catalogue.find(name)
	if err != nil {
		return agent.CatalogueEntry{}, err
	}
	entry := entryOf(chart, archive)
	entry.Values = chart.Values()
	for _, hidden := range platformValues {
		if archive == "" {
			delete(entry.Values, hidden)
		}
	}
	entry.Schema, err = ownerSchema(chart.Schema(), archive != "")
	return entry, err
}

// AddChart keeps a chart of the owner's own: its archive as helm package makes it.
func (m *Manager) AddChart(ctx context.Context, archive io.Reader, by string) (agent.CatalogueEntry, error) {
	data, err := io.ReadAll(io.LimitReader(archive, maxChart+1))
	if err != nil {
		return agent.CatalogueEntry{}, fmt.Errorf("reading a chart: %w", err)
	}
	if len(data) > maxChart {
		return agent.CatalogueEntry{}, agent.Errorf(agent.CodeTooLarge, "leave out what is no part of it by .helmignore", "the chart is larger than %d MiB", maxChart>>20)
	}
	chart, err := helm.LoadArchive(strings.NewReader(string(data)))
	if err != nil {
		return agent.CatalogueEntry{}, err
	}
	name, err := m.catalogue.add(chart, data)
	if err != nil {
		return agent.CatalogueEntry{}, err
	}
	m.tell(ctx, "market", "info", "chart "+chart.Name()+" "+chart.Version()+" added", by)
	return entryOf(chart, name), nil
}

// maxChart bounds an archive of a chart, in bytes.
const maxChart = 8 << 20

func entryOf(chart *helm.Chart, archive string) agent.CatalogueEntry {
	entry := agent.CatalogueEntry{
		Name: chart.Name(), Title: chart.Annotation(noteTitle), Description: chart.Description(),
		Version: chart.Version(), AppVersion: chart.AppVersion(), Own: archive != "", Engine: engineOf(chart, archive),
	}
	if entry.Title == "" {
		entry.Title = chart.Name()
	}
	for _, v := range variables(chart) {
		entry.Env = append(entry.Env, v.name)
	}
	return entry
}

// engineOf is what hks-service in the chart's image calls it. Only the
// embedded charts are known to have that program.
func engineOf(chart *helm.Chart, archive string) string {
	if archive != "" {
		return ""
	}
	return chart.Annotation(noteEngine)
}

// ownerSchema is a chart's schema without what the platform sets.
func ownerSchema(schema json.RawMessage, own bool) (json.RawMessage, error) {
	if len(schema) == 0 || own {
		return schema, nil
	}
	var all map[string]any
	if err := json.Unmarshal(schema, &all); err != nil {
		return nil, fmt.Errorf("reading a chart's schema: %w", err)
	}
	if properties, ok := all["properties"].(map[string]any); ok {
		for _, hidden := range platformValues {
			delete(properties, hidden)
		}
	}
	delete(all, "required")
	return json.Marshal(all)
}

// variable is one line of a chart's env annotation.
type variable struct{ name, value string }

func variables(chart *helm.Chart) []variable {
	var all []variable
	for line := range strings.Lines(chart.Annotation(noteEnv)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && agent.ValidateEnvName(name) == nil {
			all = append(all, variable{name, value})
		}
	}
	return all
}

func portOf(chart *helm.Chart) int {
	port, err := strconv.Atoi(chart.Annotation(notePort))
	if err != nil || agent.ValidatePort(port) != nil {
		return 0
	}
	return port
}

// storageOf is the size of the volume that values ask for, in bytes; 0 when
// the chart has no value storage.
func storageOf(chart *helm.Chart, values map[string]any) (int64, error) {
	text, ok := values["storage"].(string)
	if !ok {
		text, ok = chart.Values()["storage"].(string)
	}
	if !ok {
		return 0, nil
	}
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Sign() <= 0 {
		return 0, &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("storage: %q is not a size", text), Fix: "write it as 1Gi or 500Mi",
			Details: map[string]any{"field": "storage", "value": text},
		}
	}
	return quantity.Value(), nil
}
