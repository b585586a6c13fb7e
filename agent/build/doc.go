// Package build turns a folder of source into an image: it checks the folder,
// writes a Dockerfile where the source brings none, and leaves the building to
// BuildKit.
package build
