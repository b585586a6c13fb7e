package main

import (
	"bytes"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A rawLayer is a layer kept uncompressed: the payload is compressed as a whole.
type rawLayer struct{ data []byte }

func (l *rawLayer) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.data))
	return h, err
}
func (l *rawLayer) DiffID() (v1.Hash, error) { return l.Digest() }
func (l *rawLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.data)), nil
}
func (l *rawLayer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }
func (l *rawLayer) Size() (int64, error)                 { return int64(len(l.data)), nil }
func (l *rawLayer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }
