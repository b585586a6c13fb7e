package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/distribution/distribution/v3"
	_ "github.com/distribution/distribution/v3/manifest/schema2" // images with docker's own media types
	"github.com/distribution/reference"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"hks.dev/hks/agent"
)

// Load takes the images of an archive into the registry: one made by docker
// save or an OCI layout, gzipped or not. Either all of its images are there
// afterwards, or the error says why not; blobs of an earlier one may stay.
func (r *Registry) Load(ctx context.Context, tar io.Reader) (loaded []agent.Image, err error) {
	images, err := r.namespace()
	if err != nil {
		return nil, err
	}
	select {
	case r.loading <- struct{}{}:
		defer func() { <-r.loading }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another archive: %w", ctx.Err())
	}
	if err := r.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer r.gate.leave()
	file, err := r.spool(ctx, tar)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, discard(file)) }()
	archive, err := openArchive(file)
	if err != nil {
		return nil, err
	}
	found, err := archive.images()
	if err != nil {
		return nil, err
	}
	// All names first: a wrong one must not leave half of the archive loaded.
	targets := make([][]reference.Named, len(found))
	for i, image := range found {
		if targets[i], err = targetsOf(image); err != nil {
			return nil, err
		}
	}
	for i, image := range found {
		for _, target := range targets[i] {
			done, err := r.push(ctx, images, image, target)
			if err != nil {
				return nil, err
			}
			loaded = append(loaded, done)
		}
	}
	return loaded, nil
}

// LoadFile is Load for an archive on this machine, such as one of the base
// images that come with the appliance.
func (r *Registry) LoadFile(ctx context.Context, path string) (loaded []agent.Image, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening an archive of images: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	return r.Load(ctx, file)
}

// targetsOf are the names under which the own registry keeps the image.
func targetsOf(image packed) ([]reference.Named, error) {
	var targets []reference.Named
	for _, name := range image.names {
		named, err := parseName(name)
		if err != nil {
			return nil, err
		}
		path, _ := ownPath(named)
		target, err := reference.WithName(path)
		if err != nil {
			return nil, fmt.Errorf("naming the image %s: %w", name, err)
		}
		tagged, err := reference.WithTag(target, tagOrLatest(named))
		if err != nil {
			return nil, fmt.Errorf("naming the image %s: %w", name, err)
		}
		targets = append(targets, tagged)
	}
	if len(targets) == 0 {
		return nil, agent.Errorf(agent.CodeInvalidImage, "save it under its name: docker save NAME:TAG -o FILE.tar",
			"an image of the archive has no name")
	}
	return targets, nil
}

func tagOrLatest(named reference.Named) string {
	if tag := tagOf(named); tag != "" {
		return tag
	}
	return "latest"
}

// push writes the blobs, then the manifest, then the tag, so that a tag never
// names an image that is not whole.
func (r *Registry) push(ctx context.Context, images distribution.Namespace, image packed, target reference.Named) (agent.Image, error) {
	repository, err := images.Repository(ctx, reference.TrimNamed(target))
	if err != nil {
		return agent.Image{}, fmt.Errorf("opening the repository %s: %w", target.Name(), err)
	}
	done := agent.Image{Name: target.String(), CreatedAt: createdAt(image.config), StoredAt: r.cfg.Now().UTC()}
	for _, b := range image.blobs {
		if err := r.pushBlob(ctx, repository.Blobs(ctx), b); err != nil {
			return agent.Image{}, err
		}
		done.SizeBytes += b.descriptor.Size
	}
	manifest, descriptor, err := distribution.UnmarshalManifest(image.mediaType, image.manifest)
	if err != nil {
		return agent.Image{}, damaged("a manifest is malformed", err)
	}
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return agent.Image{}, fmt.Errorf("opening the repository %s: %w", target.Name(), err)
	}
	dgst, err := manifests.Put(ctx, manifest)
	if err != nil {
		return agent.Image{}, fmt.Errorf("storing the image %s: %w", target, err)
	}
	descriptor.Digest = dgst
	if err := repository.Tags(ctx).Tag(ctx, tagOrLatest(target), descriptor); err != nil {
		return agent.Image{}, fmt.Errorf("tagging the image %s: %w", target, err)
	}
	done.Digest = dgst.String()
	return done, nil
}

func (r *Registry) pushBlob(ctx context.Context, blobs distribution.BlobStore, b blob) (err error) {
	if _, err := blobs.Stat(ctx, b.descriptor.Digest); err == nil {
		return nil // it is there, of another image
	}
	if err := r.room(b.descriptor.Size); err != nil {
		return err
	}
	content, err := b.open()
	if err != nil {
		return err
	}
	writer, err := blobs.Create(ctx)
	if err != nil {
		return fmt.Errorf("storing %s: %w", b.descriptor.Digest, err)
	}
	_, err = io.Copy(writer, &interruptible{ctx, content})
	if err == nil {
		_, err = writer.Commit(ctx, v1.Descriptor{MediaType: b.descriptor.MediaType, Digest: b.descriptor.Digest, Size: b.descriptor.Size})
	}
	if err == nil {
		return nil
	}
	_ = writer.Cancel(context.WithoutCancel(ctx)) // the error above is the one to tell; Start removes leftovers too
	var mismatch distribution.ErrBlobInvalidDigest
	switch {
	case errors.As(err, &mismatch), errors.Is(err, distribution.ErrBlobInvalidLength):
		return damaged(fmt.Sprintf("%s does not match its checksum", b.descriptor.Digest), err)
	case errors.Is(err, syscall.ENOSPC):
		return noSpace(0, err)
	}
	return fmt.Errorf("storing %s: %w", b.descriptor.Digest, err)
}

// interruptible stops reading when the caller has gone.
type interruptible struct {
	ctx  context.Context //nolint:containedctx // lives as long as one copy
	from io.Reader
}

// Read reads unless the caller has gone.
func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.from.Read(p)
}
