// Package payload unpacks what travels behind the program in its own file: a zip archive with the small helper programs
// and the images of the packaged components. The archive's comment is its own name, a sha256.
package payload

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Version is set when the program is linked.
var Version = "v0.0.0+k3s0-standin"

// GoVersion is the compiler's.
func GoVersion() string { return runtime.Version() }

// A Dir is an unpacked payload.
type Dir string

// Bin is the folder of the helper programs.
func (d Dir) Bin() string { return filepath.Join(string(d), "bin") }

// Images is the folder of the image archives.
func (d Dir) Images() string { return filepath.Join(string(d), "images") }

// Extract unpacks the payload to <dataDir>/data/<sha256> unless it is there, and points "current" at it.
func Extract(dataDir string) (Dir, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	archive, err := zip.OpenReader(self)
	if err != nil {
		return "", fmt.Errorf("this program carries no payload; build it with the build command of its module: %w", err)
	}
	defer archive.Close()
	root := filepath.Join(dataDir, "data")
	dir := filepath.Join(root, archive.Comment)
	if _, err := os.Stat(dir); err == nil {
		return Dir(dir), link(root, archive.Comment)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(root, ".tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for _, f := range archive.File {
		if err := extract(f, tmp); err != nil {
			return "", fmt.Errorf("unpacking %s: %w", f.Name, err)
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return Dir(dir), link(root, archive.Comment)
}

func extract(f *zip.File, dir string) error {
	if !filepath.IsLocal(f.Name) || strings.HasSuffix(f.Name, "/") {
		return fmt.Errorf("unexpected name %q", f.Name)
	}
	target := filepath.Join(dir, f.Name)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// link makes "current" point at a version, and "previous" at the one before.
func link(root, name string) error {
	current := filepath.Join(root, "current")
	before, err := os.Readlink(current)
	if err == nil && filepath.Base(before) == name {
		return nil
	}
	if err == nil {
		if err := replaceLink(before, filepath.Join(root, "previous")); err != nil {
			return err
		}
	}
	return replaceLink(filepath.Join(root, name), current)
}

func replaceLink(target, path string) error {
	tmp := path + ".tmp"
	os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
