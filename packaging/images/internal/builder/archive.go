package builder

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Archive writes an OCI layout as a tar file, the same bytes for the same
// layout, under a temporary name until it is whole.
func Archive(layout, target string) (err error) {
	blobs, err := filepath.Glob(filepath.Join(layout, v1.ImageBlobsDir, "*", "*"))
	if err != nil {
		return fmt.Errorf("listing blobs: %w", err)
	}
	slices.Sort(blobs)
	out, err := os.CreateTemp(filepath.Dir(target), ".archive-*.tmp")
	if err != nil {
		return fmt.Errorf("making the archive: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", target, err), os.Remove(out.Name()))
		}
	}()
	w := tar.NewWriter(out)
	for _, path := range append([]string{filepath.Join(layout, v1.ImageLayoutFile), filepath.Join(layout, v1.ImageIndexFile)}, blobs...) {
		if err := add(w, layout, path); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	if err := errors.Join(w.Close(), out.Chmod(0o644), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}

func add(w *tar.Writer, layout, path string) error {
	name, err := filepath.Rel(layout, path)
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size(), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
