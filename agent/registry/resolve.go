package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"

	"hks.dev/hks/agent"
)

// Resolve finds what pods are to pull for the name that the owner wrote, by
// digest. The own registry comes first; then the registry that the name
// means. When that can't be asked, the image is returned without a digest:
// the node may still have it or reach it, and if not its own words say why.
func (r *Registry) Resolve(ctx context.Context, ref string) (image, dgst string, err error) {
	named, err := parseName(ref)
	if err != nil {
		return "", "", err
	}
	path, onlyOwn := ownPath(named)
	found, err := r.own(ctx, path, named)
	if err != nil {
		return "", "", err
	}
	if found != "" {
		return agent.RegistryHost + "/" + path + "@" + found.String(), found.String(), nil
	}
	if onlyOwn {
		return "", "", &agent.Error{
			Code:    agent.CodeImagePull,
			Message: fmt.Sprintf("manifest unknown: the appliance's own registry has no image %s", strings.TrimPrefix(named.String(), reference.Domain(named)+"/")),
			Fix:     "hks image list shows what it has; hks image load FILE.tar adds to it",
			Details: map[string]any{"image": ref},
		}
	}
	image, dgst, err = r.remote(ctx, ref, named)
	if err != nil || dgst != "" {
		return image, dgst, err
	}
	// Nobody can be asked. An image that was loaded here under another tag
	// tells more than the node's words about a network that is not there.
	if tags := r.tags(ctx, path); len(tags) > 0 {
		return "", "", &agent.Error{
			Code: agent.CodeImagePull,
			Message: fmt.Sprintf("the appliance's own registry has %s only as: %s; and %s can't be asked now",
				path, strings.Join(tags, ", "), reference.Domain(named)),
			Fix:     "use one of these tags, or load the image with hks image load FILE.tar",
			Details: map[string]any{"image": ref, "tags": tags},
		}
	}
	return image, "", nil
}

// tags lists the tags of a repository of the own registry; none when it is
// not there.
func (r *Registry) tags(ctx context.Context, path string) []string {
	images, err := r.namespace()
	if err != nil {
		return nil
	}
	named, err := reference.WithName(path)
	if err != nil {
		return nil
	}
	repository, err := images.Repository(ctx, named)
	if err != nil {
		return nil
	}
	tags, err := repository.Tags(ctx).All(ctx)
	if err != nil {
		return nil
	}
	slices.Sort(tags)
	return tags
}

// own looks in the own registry; empty when the image is not there.
func (r *Registry) own(ctx context.Context, path string, named reference.Named) (digest.Digest, error) {
	images, err := r.namespace()
	if err != nil {
		return "", err
	}
	// Not during a clean-up: it may be removing what is found here. The release
	// that asks is on disk already, so that a later one keeps its image.
	if err := r.gate.enter(ctx); err != nil {
		return "", err
	}
	defer r.gate.leave()
	at, err := reference.WithName(path)
	if err != nil {
		return "", nil // the own registry can't have it
	}
	repository, err := images.Repository(ctx, at)
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", named, err)
	}
	if digested, ok := named.(reference.Digested); ok {
		manifests, err := repository.Manifests(ctx)
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", named, err)
		}
		exists, err := manifests.Exists(ctx, digested.Digest())
		if err != nil && !unknown(err) {
			return "", fmt.Errorf("looking for %s: %w", named, err)
		}
		if exists {
			return digested.Digest(), nil
		}
		return "", nil
	}
	found, err := repository.Tags(ctx).Get(ctx, tagOrLatest(named))
	if unknown(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", named, err)
	}
	return found.Digest, nil
}

// remote asks the registry that the name means.
func (r *Registry) remote(ctx context.Context, ref string, named reference.Named) (image, dgst string, err error) {
	asked, err := name.ParseReference(named.String())
	if err != nil {
		return "", "", fmt.Errorf("asking for %s: %w", named, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RemoteTimeout)
	defer cancel()
	// Anonymous: no password of the machine's own user leaves it.
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(authn.Anonymous)}
	if r.cfg.Remote != nil {
		options = append(options, remote.WithTransport(r.cfg.Remote))
	}
	head, err := remote.Head(asked, options...)
	if err == nil {
		return reference.TrimNamed(named).String() + "@" + head.Digest.String(), head.Digest.String(), nil
	}
	if refusal(err) != nil { // the answer to HEAD has no words
		if _, again := remote.Get(asked, options...); again != nil {
			err = again
		}
	}
	if said := refusal(err); said != nil {
		return "", "", &agent.Error{
			Code:    agent.CodeImagePull,
			Message: fmt.Sprintf("the image %s can't be had: %s says %s", ref, asked.Context().RegistryStr(), words(said)),
			Fix:     "check the name and the tag; a private image can be loaded with hks image load FILE.tar",
			Details: map[string]any{"image": ref, "registry": asked.Context().RegistryStr(), "status": said.StatusCode},
			Cause:   err,
		}
	}
	r.cfg.Log.InfoContext(ctx, "a registry can't be asked now; the node will try", "image", named.String(), "error", err)
	return named.String(), "", nil
}

// refusal is the answer of a registry that has the image not, or not for us;
// nil for anything else, such as an outage or a rate limit.
func refusal(err error) *transport.Error {
	said, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return nil
	}
	switch said.StatusCode {
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
		return said
	}
	return nil
}

// words are the registry's own.
func words(said *transport.Error) string {
	var parts []string
	for _, d := range said.Errors {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s: %s", d.Code, d.Message), ": "))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%d %s", said.StatusCode, http.StatusText(said.StatusCode))
	}
	return strings.Join(parts, "; ")
}
