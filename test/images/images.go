// Package images makes container images for tests, without a container
// engine: a static Go binary in an otherwise empty image, as an archive that
// `hks image load` takes.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is one image to make from the Go package named by Package.
type Image struct {
	Name    string   // repository:tag
	Package string   // import path of a main package
	Env     []string // KEY=VALUE, part of the image
	User    string   // default 65532
}

// Write compiles the package and writes the image as a docker-archive into
// folder; it returns the archive's path.
func Write(ctx context.Context, folder string, image Image) (string, error) {
	binary := filepath.Join(folder, filepath.Base(image.Package))
	if err := compile(ctx, image.Package, binary); err != nil {
		return "", err
	}
	built, err := assemble(binary, image)
	if err != nil {
		return "", fmt.Errorf("assembling image %s: %w", image.Name, err)
	}
	ref, err := name.NewTag(image.Name)
	if err != nil {
		return "", fmt.Errorf("naming the image: %w", err)
	}
	archive := filepath.Join(folder, ref.TagStr()+"-"+filepath.Base(ref.RepositoryStr())+".tar")
	if err := tarball.WriteToFile(archive, ref, built); err != nil {
		return "", fmt.Errorf("writing image %s: %w", image.Name, err)
	}
	return archive, nil
}

func compile(ctx context.Context, pkg, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling %s: %w\n%s", pkg, err, out)
	}
	return nil
}

func assemble(binary string, image Image) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	built, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	file, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Entrypoint = []string{"/app"}
	file.Config.Env = append(image.Env, "PORT=8080")
	file.Config.User = "65532:65532"
	if image.User != "" {
		file.Config.User = image.User
	}
	return mutate.ConfigFile(built, file)
}
