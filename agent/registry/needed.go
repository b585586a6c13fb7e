package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"

	"hks.dev/hks/agent"
)

// Needed is what the images in use are made of.
type Needed struct {
	Files   []string // below the folder, sorted
	Images  int
	Blobs   int
	Missing []string // blobs that should be there and are not
}

// FindNeeded looks in the data folder of a registry, running or not, for the
// files that the images of those uses are made of. Images of other registries
// and the appliance's own base images are left out.
func FindNeeded(ctx context.Context, data string, uses []agent.ImageUse) (Needed, error) {
	if _, err := os.Stat(filepath.Join(data, filepath.FromSlash(repositoriesRoot))); errors.Is(err, fs.ErrNotExist) {
		return Needed{}, nil // nothing was ever stored
	}
	files := filesystem.New(filesystem.DriverParameters{RootDirectory: data, MaxThreads: 100})
	images, err := storage.NewRegistry(ctx, files)
	if err != nil {
		return Needed{}, fmt.Errorf("opening the images' folder: %w", err)
	}
	inv := &inventory{manifests: map[place]*stored{}, blobs: map[digest.Digest]file{}}
	if err := inv.readBlobs(ctx, files); err != nil {
		return Needed{}, err
	}
	paths, err := repositories(ctx, images)
	if err != nil {
		return Needed{}, err
	}
	for _, path := range paths {
		if err := inv.readRepository(ctx, files, images, path); err != nil {
			return Needed{}, fmt.Errorf("reading the repository %s: %w", path, err)
		}
	}
	return inv.needed(data, uses)
}

func (inv *inventory) needed(data string, uses []agent.ImageUse) (Needed, error) {
	var n Needed
	manifests, blobs := map[place]bool{}, map[digest.Digest]bool{}
	for at := range inv.users(uses) {
		m := inv.manifests[at]
		if m == nil || m.isBase() {
			continue // it comes from elsewhere, or from the bundle
		}
		n.Images++
		inv.reach(m, manifests, blobs)
	}
	repositories := map[string]bool{}
	for at := range manifests {
		repositories[at.repository] = true
	}
	for d := range blobs {
		if _, ok := inv.blobs[d]; !ok {
			n.Missing = append(n.Missing, d.String())
			continue
		}
		n.Blobs++
		n.Files = append(n.Files, filepath.Join(filepath.FromSlash(blobsRoot), d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")[1:])
	}
	for name := range repositories {
		links, err := linksTo(data, name, blobs)
		if err != nil {
			return n, err
		}
		n.Files = append(n.Files, links...)
	}
	slices.Sort(n.Files)
	slices.Sort(n.Missing)
	return n, nil
}

// linksTo lists the files of a repository that lead to one of the blobs: each
// holds its digest.
func linksTo(data, repository string, blobs map[digest.Digest]bool) ([]string, error) {
	var links []string
	for _, folder := range []string{"_layers", "_manifests"} {
		err := filepath.WalkDir(filepath.Join(data, filepath.FromSlash(repositoriesRoot), repository, folder), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed in the meantime
			}
			if err != nil || entry.IsDir() || entry.Name() != "link" {
				return err
			}
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !blobs[digest.Digest(strings.TrimSpace(string(text)))] {
				return err
			}
			name, err := filepath.Rel(data, path)
			links = append(links, name)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("listing the links of %s: %w", repository, err)
		}
	}
	return links, nil
}
