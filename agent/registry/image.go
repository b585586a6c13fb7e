package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"hks.dev/hks/agent"
)

// packed is one image of an archive, ready to be pushed.
type packed struct {
	names     []string // as the archive has them
	mediaType string
	manifest  []byte
	config    []byte
	blobs     []blob // config and layers
}

type blob struct {
	descriptor v1.Descriptor
	open       func() (io.Reader, error)
}

// images finds the images of the archive: docker's list where every image has
// a name in it, else the OCI layout (newer archives have both).
func (a *archive) images() ([]packed, error) {
	oci := a.has(v1.ImageIndexFile) && a.has(v1.ImageLayoutFile)
	if !a.has("manifest.json") {
		if !oci {
			return nil, damaged("it has neither manifest.json (docker save) nor index.json (OCI layout)", nil)
		}
		return a.ociImages()
	}
	var list []dockerImage
	if err := a.document("manifest.json", &list); err != nil {
		return nil, err
	}
	if oci && slices.ContainsFunc(list, func(d dockerImage) bool { return len(d.RepoTags) == 0 }) {
		return a.ociImages()
	}
	images := make([]packed, 0, len(list))
	for _, d := range list {
		image, err := a.dockerImage(d)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// dockerImage is one entry of docker save's manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerImage gives docker's image a manifest. Layers stay as they are:
// compressing them would only cost time, on the one machine that both sends
// and receives them.
func (a *archive) dockerImage(d dockerImage) (packed, error) {
	config, err := a.bytes(d.Config)
	if err != nil {
		return packed{}, err
	}
	image, err := checkConfig(config)
	if err != nil {
		return packed{}, err
	}
	if len(image.RootFS.DiffIDs) != len(d.Layers) {
		return packed{}, damaged(fmt.Sprintf("its configuration names %d layers, it has %d", len(image.RootFS.DiffIDs), len(d.Layers)), nil)
	}
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers:    []v1.Descriptor{},
	}
	blobs := []blob{{manifest.Config, func() (io.Reader, error) { return bytes.NewReader(config), nil }}}
	for i, name := range d.Layers {
		layer, err := a.layer(name, image.RootFS.DiffIDs[i])
		if err != nil {
			return packed{}, err
		}
		manifest.Layers = append(manifest.Layers, layer.descriptor)
		blobs = append(blobs, layer)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return packed{}, fmt.Errorf("writing a manifest: %w", err)
	}
	return packed{names: d.RepoTags, mediaType: v1.MediaTypeImageManifest, manifest: text, config: config, blobs: blobs}, nil
}

// layer describes a layer file. A plain one has the digest that the
// configuration names; pushing checks it. A compressed one is hashed.
func (a *archive) layer(name string, diffID digest.Digest) (blob, error) {
	content, err := a.open(name)
	if err != nil {
		return blob{}, err
	}
	var magic [4]byte
	if _, err := content.ReadAt(magic[:], 0); err != nil {
		return blob{}, damaged(fmt.Sprintf("layer %q is cut short", name), err)
	}
	d := v1.Descriptor{Size: content.Size()}
	switch {
	case magic[0] == 0x1f && magic[1] == 0x8b:
		d.MediaType = v1.MediaTypeImageLayerGzip
	case magic == [4]byte{0x28, 0xb5, 0x2f, 0xfd}:
		d.MediaType = v1.MediaTypeImageLayerZstd
	default:
		d.MediaType, d.Digest = v1.MediaTypeImageLayer, diffID
	}
	if d.Digest == "" {
		if d.Digest, err = digest.FromReader(io.NewSectionReader(content, 0, content.Size())); err != nil {
			return blob{}, fmt.Errorf("reading layer %q: %w", name, err)
		}
	}
	return blob{d, func() (io.Reader, error) { return a.open(name) }}, nil
}

// Annotations that name an image in an OCI layout.
const (
	annotationContainerd = "io.containerd.image.name"
	annotationName       = v1.AnnotationRefName
)

// ociImages finds, under each name, the image for this machine.
func (a *archive) ociImages() ([]packed, error) {
	var index v1.Index
	if err := a.document(v1.ImageIndexFile, &index); err != nil {
		return nil, err
	}
	var images []packed
	for _, d := range index.Manifests {
		if !forThisMachine(d.Platform) {
			continue
		}
		image, err := a.ociImage(d, 0)
		if err != nil {
			return nil, err
		}
		if image == nil {
			continue
		}
		if name := d.Annotations[annotationContainerd]; name != "" {
			image.names = []string{name}
		} else if name := d.Annotations[annotationName]; name != "" {
			image.names = []string{name}
		}
		images = append(images, *image)
	}
	if len(images) == 0 {
		return nil, wrongMachine("another kind of machine")
	}
	return images, nil
}

// ociImage reads a manifest, or picks from an index of platforms; nil when
// none is for this machine.
func (a *archive) ociImage(d v1.Descriptor, depth int) (*packed, error) {
	text, err := a.blobBytes(d)
	if err != nil {
		return nil, err
	}
	var document struct {
		MediaType string          `json:"mediaType"`
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, damaged(fmt.Sprintf("the manifest %s is no valid JSON", d.Digest), err)
	}
	if document.Config == nil {
		if depth > 2 {
			return nil, damaged("its indexes are nested too deep", nil)
		}
		for _, m := range document.Manifests {
			// An archive of one platform may name others that it does not hold.
			if !forThisMachine(m.Platform) || !a.has(blobName(m.Digest)) {
				continue
			}
			if image, err := a.ociImage(m, depth+1); image != nil || err != nil {
				return image, err
			}
		}
		return nil, nil
	}
	config, err := a.blobBytes(*document.Config)
	if err != nil {
		return nil, err
	}
	if _, err := checkConfig(config); err != nil {
		return nil, err
	}
	mediaType := document.MediaType
	if mediaType == "" {
		mediaType = d.MediaType
	}
	image := &packed{mediaType: mediaType, manifest: text, config: config}
	for _, part := range append([]v1.Descriptor{*document.Config}, document.Layers...) {
		if err := part.Digest.Validate(); err != nil {
			return nil, damaged("a digest in it is malformed", err)
		}
		content, err := a.open(blobName(part.Digest))
		if err != nil {
			return nil, err
		}
		if content.Size() != part.Size {
			return nil, damaged(fmt.Sprintf("%s has %d bytes, %d are declared", part.Digest, content.Size(), part.Size), nil)
		}
		image.blobs = append(image.blobs, blob{part, func() (io.Reader, error) { return a.open(blobName(part.Digest)) }})
	}
	return image, nil
}

// blobBytes reads a document of an OCI layout and checks its digest.
func (a *archive) blobBytes(d v1.Descriptor) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, damaged("a digest in it is malformed", err)
	}
	text, err := a.bytes(blobName(d.Digest))
	if err != nil {
		return nil, err
	}
	if d.Digest.Algorithm().FromBytes(text) != d.Digest {
		return nil, damaged(fmt.Sprintf("%s does not match its checksum", d.Digest), nil)
	}
	return text, nil
}

func blobName(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// forThisMachine tells whether a platform can run here; one that is not named
// can. Attestations have the platform unknown.
func forThisMachine(p *v1.Platform) bool {
	return p == nil || (p.OS == "linux" && p.Architecture == runtime.GOARCH)
}

func checkConfig(text []byte) (v1.Image, error) {
	var image v1.Image
	if err := json.Unmarshal(text, &image); err != nil {
		return image, damaged("an image's configuration is no valid JSON", err)
	}
	if image.Architecture != "" && image.Architecture != runtime.GOARCH || image.OS != "" && image.OS != "linux" {
		return image, wrongMachine(image.OS + "/" + image.Architecture)
	}
	for _, id := range image.RootFS.DiffIDs {
		if err := id.Validate(); err != nil {
			return image, damaged("a digest in its configuration is malformed", err)
		}
	}
	return image, nil
}

func wrongMachine(platform string) error {
	return agent.Errorf(agent.CodeInvalidImage, "build it for linux/"+runtime.GOARCH+" (docker build --platform linux/"+runtime.GOARCH+")",
		"the image is for %s, this machine is linux/%s", platform, runtime.GOARCH)
}

// createdAt is when an image says it was made; zero when it does not say.
func createdAt(config []byte) time.Time {
	var image v1.Image
	if err := json.Unmarshal(config, &image); err != nil || image.Created == nil {
		return time.Time{}
	}
	return image.Created.UTC()
}
