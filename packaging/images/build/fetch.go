package main

import (
	"archive/tar"
	"archive/zip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// npmPack fetches an npm package with the machine's npm and checks that it is
// the one that is pinned.
func (m *maker) npmPack(ctx context.Context, name, target string) error {
	pin, ok := m.recipes.npm[name]
	if !ok {
		return fmt.Errorf("versions has no npm package %s", name)
	}
	folder := target + ".d"
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "npm", "pack", "--loglevel=error", "--pack-destination", ".", name+"@"+pin.version)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching %s by npm: %w\n%s", name, err, strings.TrimSpace(string(out)))
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("npm fetched %d files for %s", len(files), name)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	sum := sha512.Sum512(content)
	if found := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); found != pin.integrity {
		return fmt.Errorf("%s %s has the checksum %s, not %s", name, pin.version, found, pin.integrity)
	}
	return errors.Join(os.Rename(files[0], target), os.Remove(folder))
}

// toolchain fetches the Go toolchain as the go command does, which checks it
// against the checksum database, and repacks it.
func (m *maker) toolchain(ctx context.Context, target string) (err error) {
	version := "v0.0.1-go" + m.recipes.golang + ".linux-" + runtime.GOARCH
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "golang.org/toolchain@"+version)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	var messages strings.Builder
	cmd.Stderr = &messages
	out, err := cmd.Output()
	var downloaded struct{ Zip, Error string }
	if jsonErr := json.Unmarshal(out, &downloaded); err != nil || jsonErr != nil {
		return fmt.Errorf("fetching Go %s: %w\n%s%s", m.recipes.golang, errors.Join(err, jsonErr), downloaded.Error, messages.String())
	}
	from, err := zip.OpenReader(downloaded.Zip)
	if err != nil {
		return fmt.Errorf("opening the toolchain: %w", err)
	}
	defer from.Close()
	to, err := os.Create(target)
	if err != nil {
		return fmt.Errorf("repacking the toolchain: %w", err)
	}
	w := tar.NewWriter(to)
	for _, file := range from.File {
		if err := repack(w, file, "golang.org/toolchain@"+version+"/", m.recipes.date); err != nil {
			return errors.Join(fmt.Errorf("repacking the toolchain: %w", err), to.Close())
		}
	}
	return errors.Join(w.Close(), to.Close())
}

func repack(w *tar.Writer, file *zip.File, prefix string, date time.Time) error {
	name, ok := strings.CutPrefix(file.Name, prefix)
	if !ok {
		return fmt.Errorf("%s is no part of it", file.Name)
	}
	mode := int64(0o644)
	if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/") {
		mode = 0o755 // zip files of modules have no modes
	}
	in, err := file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(file.UncompressedSize64), ModTime: date}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
