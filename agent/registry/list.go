package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"hks.dev/hks/agent"
)

// List returns all tagged images, by name, and who needs them.
func (r *Registry) List(ctx context.Context) ([]agent.Image, error) {
	images, err := r.namespace()
	if err != nil {
		return nil, err
	}
	paths, err := repositories(ctx, images)
	if err != nil {
		return nil, err
	}
	list := []agent.Image{}
	for _, path := range paths {
		named, err := reference.WithName(path)
		if err != nil {
			return nil, fmt.Errorf("reading the repository %s: %w", path, err)
		}
		found, err := r.tagged(ctx, images, named)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	if err := r.markUsed(ctx, list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b agent.Image) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func repositories(ctx context.Context, images distribution.Namespace) ([]string, error) {
	var all []string
	page, last := make([]string, 100), ""
	for {
		n, err := images.Repositories(ctx, page, last)
		all = append(all, page[:n]...)
		if errors.Is(err, io.EOF) || errors.As(err, &driver.PathNotFoundError{}) { // the end, or an empty registry
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing images: %w", err)
		}
		if n == 0 {
			return all, nil
		}
		last = page[n-1]
	}
}

// markUsed notes which kept releases need each image.
func (r *Registry) markUsed(ctx context.Context, list []agent.Image) error {
	if r.cfg.Uses == nil {
		return nil
	}
	uses, err := r.uses(ctx)
	if err != nil {
		return err
	}
	inv := &inventory{manifests: map[place]*stored{}}
	at := func(image agent.Image) (place, string) {
		i := strings.LastIndexByte(image.Name, ':')
		return place{image.Name[:i], digest.Digest(image.Digest)}, image.Name[i+1:]
	}
	for _, image := range list {
		p, tag := at(image)
		if inv.manifests[p] == nil {
			inv.manifests[p] = &stored{place: p, tags: map[string]time.Time{}}
		}
		inv.manifests[p].tags[tag] = image.StoredAt
	}
	used := inv.users(uses)
	for i, image := range list {
		p, _ := at(image)
		list[i].UsedBy = used[p]
	}
	return nil
}

func (r *Registry) tagged(ctx context.Context, images distribution.Namespace, named reference.Named) ([]agent.Image, error) {
	repository, err := images.Repository(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("reading the repository %s: %w", named, err)
	}
	tags, err := repository.Tags(ctx).All(ctx)
	if errors.As(err, &distribution.ErrRepositoryUnknown{}) {
		return nil, nil // all of its tags were removed
	}
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %s: %w", named, err)
	}
	var list []agent.Image
	for _, tag := range tags {
		at, err := repository.Tags(ctx).Get(ctx, tag)
		if unknown(err) {
			continue // removed in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s:%s: %w", named, tag, err)
		}
		image := agent.Image{Name: named.Name() + ":" + tag, Digest: at.Digest.String()}
		if info, err := r.driver.Stat(ctx, tagFile(named.Name(), tag)); err == nil {
			image.StoredAt = info.ModTime().UTC()
		}
		if err := describe(ctx, repository, at.Digest, &image, 0); err != nil {
			return nil, fmt.Errorf("reading %s:%s: %w", named, tag, err)
		}
		list = append(list, image)
	}
	return list, nil
}

// describe adds up sizes and finds the date of an image, or of the one for
// this machine in an index of several.
func describe(ctx context.Context, repository distribution.Repository, at digest.Digest, image *agent.Image, depth int) error {
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return err
	}
	manifest, err := manifests.Get(ctx, at)
	if unknown(err) || depth > 2 {
		return nil // an index may name images that are not here
	}
	if err != nil {
		return err
	}
	mediaType, _, err := manifest.Payload()
	if err != nil {
		return err
	}
	references := manifest.References()
	if mediaType == v1.MediaTypeImageIndex || strings.Contains(mediaType, "manifest.list") {
		for _, d := range references {
			if forThisMachine(d.Platform) {
				return describe(ctx, repository, d.Digest, image, depth+1)
			}
		}
		return nil
	}
	for _, d := range references {
		image.SizeBytes += d.Size
		if d.MediaType == v1.MediaTypeImageConfig || d.MediaType == "application/vnd.docker.container.image.v1+json" {
			if config, err := repository.Blobs(ctx).Get(ctx, d.Digest); err == nil {
				image.CreatedAt = createdAt(config)
			}
		}
	}
	return nil
}

// unknown tells whether what was asked for is not there.
func unknown(err error) bool {
	return errors.As(err, &distribution.ErrTagUnknown{}) || errors.As(err, &distribution.ErrManifestUnknown{}) ||
		errors.As(err, &distribution.ErrManifestUnknownRevision{}) || errors.As(err, &distribution.ErrRepositoryUnknown{})
}
