package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
)

// baseImages are the archives of hks's own base images that lie beside the
// programs. With them in its registry the appliance builds without the
// internet.
func baseImages(from string) ([]string, error) {
	if from == "" {
		return nil, nil
	}
	archives, err := filepath.Glob(filepath.Join(from, "images", "*.tar"))
	if err != nil {
		return nil, fmt.Errorf("looking for base images: %w", err)
	}
	return archives, nil
}

// loaded is what was loaded of an archive, and how the archive looked then.
type loaded struct {
	Archive string   `json:"archive"` // size and time of change
	Images  []string `json:"images"`  // NAME:TAG@DIGEST
}

// loadBaseImages puts the base images into the registry that are not there
// yet. An archive is known again by its size and time: reading all of them
// would take longer than the rest of `up`.
func (m *machine) loadBaseImages(ctx context.Context, from string) error {
	archives, err := baseImages(from)
	if err != nil || len(archives) == 0 {
		return err
	}
	c, err := m.client()
	if err != nil {
		return err
	}
	present, err := c.Images(ctx)
	if err != nil {
		return err
	}
	known := m.knownImages()
	for _, archive := range archives {
		info, err := os.Stat(archive)
		if err != nil {
			return fmt.Errorf("reading a base image: %w", err)
		}
		name := filepath.Base(archive)
		now := loaded{Archive: fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano())}
		if before := known[name]; before.Archive == now.Archive && allPresent(before.Images, present) {
			continue
		}
		fmt.Fprintf(m.err, "loading the base image %s\n", name)
		if now.Images, err = loadImage(ctx, c, archive, info.Size()); err != nil {
			return err
		}
		known[name] = now
	}
	return m.keepKnownImages(known)
}

func loadImage(ctx context.Context, c *client.Client, archive string, size int64) ([]string, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, fmt.Errorf("reading a base image: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	images, err := c.LoadImage(ctx, file, size, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, image := range images {
		names = append(names, reference(image))
	}
	return names, nil
}

func reference(image agent.Image) string { return image.Name + "@" + image.Digest }

func allPresent(names []string, present []agent.Image) bool {
	return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(present, func(image agent.Image) bool { return reference(image) == name })
	})
}

func (m *machine) knownFile() string { return m.paths.State("base-images.json") }

// knownImages is what earlier runs loaded. A file that can't be read only
// means that all is loaded again.
func (m *machine) knownImages() map[string]loaded {
	known := map[string]loaded{}
	data, err := os.ReadFile(m.knownFile())
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(m.err, "warning: what base images are loaded is not known: %v\n", err)
		return map[string]loaded{}
	}
	return known
}

func (m *machine) keepKnownImages(known map[string]loaded) error {
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("noting what base images are loaded: %w", err)
	}
	temp := m.knownFile() + ".tmp"
	if err := errors.Join(os.RemoveAll(temp), os.WriteFile(temp, data, 0o600)); err != nil {
		return fmt.Errorf("noting what base images are loaded: %w", err)
	}
	if err := os.Rename(temp, m.knownFile()); err != nil {
		return fmt.Errorf("noting what base images are loaded: %w", err)
	}
	return nil
}
