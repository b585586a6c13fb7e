package registry

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"hks.dev/hks/agent"
)

// Folders of the distribution registry's storage, which is fixed.
const (
	blobsRoot        = "/docker/registry/v2/blobs"
	repositoriesRoot = "/docker/registry/v2/repositories"
)

// place is one manifest in one repository.
type place struct {
	repository string
	digest     digest.Digest
}

// stored is what is known of a manifest: an image, or an index of several.
type stored struct {
	place
	tags       map[string]time.Time // when each was put
	at         time.Time            // when it was last loaded or pushed
	references []digest.Digest      // config and layers, or other manifests
}

// file is one blob on the disk.
type file struct {
	size int64
	at   time.Time
}

// inventory is everything in the registry at one moment.
type inventory struct {
	manifests map[place]*stored
	blobs     map[digest.Digest]file
}

// inventory reads the whole registry.
func (r *Registry) inventory(ctx context.Context) (*inventory, error) {
	images, err := r.namespace()
	if err != nil {
		return nil, err
	}
	inv := &inventory{manifests: map[place]*stored{}, blobs: map[digest.Digest]file{}}
	if err := inv.readBlobs(ctx, r.driver); err != nil {
		return nil, err
	}
	paths, err := repositories(ctx, images)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if err := inv.readRepository(ctx, r.driver, images, path); err != nil {
			return nil, fmt.Errorf("reading the repository %s: %w", path, err)
		}
	}
	return inv, nil
}

func (inv *inventory) readBlobs(ctx context.Context, files driver.StorageDriver) error {
	err := files.Walk(ctx, blobsRoot, func(info driver.FileInfo) error {
		folder, name := path.Split(info.Path())
		if info.IsDir() || name != "data" {
			return nil
		}
		encoded := path.Base(folder)
		algorithm := path.Base(path.Dir(path.Dir(path.Clean(folder))))
		inv.blobs[digest.NewDigestFromEncoded(digest.Algorithm(algorithm), encoded)] = file{size: info.Size(), at: info.ModTime()}
		return nil
	})
	if err != nil && !absent(err) {
		return fmt.Errorf("listing blobs: %w", err)
	}
	return nil
}

func (inv *inventory) readRepository(ctx context.Context, files driver.StorageDriver, images distribution.Namespace, name string) error {
	named, err := reference.WithName(name)
	if err != nil {
		return err
	}
	repository, err := images.Repository(ctx, named)
	if err != nil {
		return err
	}
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return err
	}
	enumerator, ok := manifests.(distribution.ManifestEnumerator)
	if !ok {
		return errors.New("its manifests can't be listed")
	}
	err = enumerator.Enumerate(ctx, func(at digest.Digest) error {
		manifest, err := manifests.Get(ctx, at)
		if unknown(err) {
			return nil // removed in the meantime
		}
		if err != nil {
			return err
		}
		info, err := files.Stat(ctx, path.Join(repositoriesRoot, name, "_manifests/revisions", at.Algorithm().String(), at.Encoded(), "link"))
		if absent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		found := &stored{place: place{name, at}, tags: map[string]time.Time{}, at: info.ModTime()}
		for _, d := range manifest.References() {
			found.references = append(found.references, d.Digest)
		}
		inv.manifests[found.place] = found
		return nil
	})
	if err != nil && !absent(err) {
		return err
	}
	return inv.readTags(ctx, files, repository.Tags(ctx), name)
}

func (inv *inventory) readTags(ctx context.Context, files driver.StorageDriver, tags distribution.TagService, name string) error {
	all, err := tags.All(ctx)
	if err != nil && !unknown(err) {
		return err
	}
	for _, tag := range all {
		to, err := tags.Get(ctx, tag)
		if unknown(err) {
			continue // removed in the meantime
		}
		if err != nil {
			return err
		}
		info, err := files.Stat(ctx, tagFile(name, tag))
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		found := inv.manifests[place{name, to.Digest}]
		if found == nil {
			// The manifest is gone, the tag leads nowhere: it goes at a clean-up.
			found = &stored{place: place{name, to.Digest}, tags: map[string]time.Time{}}
			inv.manifests[found.place] = found
		}
		found.tags[tag] = info.ModTime()
		if info.ModTime().After(found.at) {
			found.at = info.ModTime()
		}
	}
	return nil
}

func tagFile(name, tag string) string {
	return path.Join(repositoriesRoot, name, "_manifests/tags", tag, "current/link")
}

func absent(err error) bool { return errors.As(err, &driver.PathNotFoundError{}) }

// size is what all blobs take, bytes.
func (inv *inventory) size() int64 {
	var total int64
	for _, f := range inv.blobs {
		total += f.size
	}
	return total
}

// reach adds to blobs all that the manifest leads to, itself included, and to
// manifests those that it leads to in its repository.
func (inv *inventory) reach(m *stored, manifests map[place]bool, blobs map[digest.Digest]bool) {
	if manifests[m.place] {
		return
	}
	manifests[m.place] = true
	blobs[m.digest] = true
	for _, d := range m.references {
		blobs[d] = true
		if child := inv.manifests[place{m.repository, d}]; child != nil {
			inv.reach(child, manifests, blobs)
		}
	}
}

// users finds for each manifest the releases that need it.
func (inv *inventory) users(uses []agent.ImageUse) map[place][]agent.ImageUse {
	found := map[place][]agent.ImageUse{}
	for _, use := range uses {
		named, err := parseName(use.Image)
		if err != nil {
			continue // a name that is none was never pulled
		}
		repository, _ := ownPath(named)
		if digested, ok := named.(reference.Digested); ok {
			at := place{repository, digested.Digest()}
			found[at] = append(found[at], use)
			continue
		}
		tag := tagOrLatest(named)
		for at, m := range inv.manifests {
			if _, ok := m.tags[tag]; ok && at.repository == repository {
				found[at] = append(found[at], use)
			}
		}
	}
	return found
}

// isBase tells whether it is an image of the appliance's own.
func (m *stored) isBase() bool { return strings.HasPrefix(m.repository, "hks/") }
