package registry

import (
	"context"
	"fmt"
	"path"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
)

// sweep removes what was chosen. The gate is closed. The order makes an end
// at any point harmless: first names, then manifests, then the blobs that
// nothing leads to any more; what is left over goes the next time.
func (r *Registry) sweep(ctx context.Context, c choice) error {
	files := sweeper{StorageDriver: r.driver, spare: map[string]bool{}}
	for d := range c.spare {
		files.spare[d.Encoded()] = true
	}
	images, err := storage.NewRegistry(ctx, files, storage.EnableDelete)
	if err != nil {
		return fmt.Errorf("opening the images' folder: %w", err)
	}
	for _, gone := range c.remove {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("removing images: %w", err)
		}
		if err := remove(ctx, images, storage.NewVacuum(ctx, files), gone); err != nil {
			return fmt.Errorf("removing %s@%s: %w", gone.repository, gone.digest, err)
		}
	}
	if err := storage.MarkAndSweep(ctx, files, images, storage.GCOpts{Quiet: true}); err != nil {
		return fmt.Errorf("removing blobs: %w", err)
	}
	return nil
}

func remove(ctx context.Context, images distribution.Namespace, vacuum storage.Vacuum, gone removal) error {
	named, err := reference.WithName(gone.repository)
	if err != nil {
		return err
	}
	repository, err := images.Repository(ctx, named)
	if err != nil {
		return err
	}
	for tag := range gone.tags {
		if err := repository.Tags(ctx).Untag(ctx, tag); err != nil && !absent(err) {
			return err
		}
	}
	if !gone.manifest {
		return nil
	}
	// Tags that moved on to another image remember this one.
	tags, err := repository.Tags(ctx).All(ctx)
	if err != nil && !unknown(err) {
		return err
	}
	return vacuum.RemoveManifest(gone.repository, gone.digest, tags)
}

// sweeper is the storage as the collection sees it: blobs that are spared
// can't be deleted, and a folder that is not there is empty (a repository
// without layers would end the collection).
type sweeper struct {
	driver.StorageDriver
	spare map[string]bool // digests, encoded: the last element of a blob's or link's folder
}

// Delete deletes unless the blob is spared.
func (s sweeper) Delete(ctx context.Context, at string) error {
	if s.spare[path.Base(at)] {
		return nil
	}
	if err := s.StorageDriver.Delete(ctx, at); err != nil && !absent(err) {
		return err
	}
	return nil
}

// Walk walks; nothing when the folder is not there.
func (s sweeper) Walk(ctx context.Context, from string, visit driver.WalkFn, options ...func(*driver.WalkOptions)) error {
	if err := s.StorageDriver.Walk(ctx, from, visit, options...); err != nil && !absent(err) {
		return err
	}
	return nil
}
