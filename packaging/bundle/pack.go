package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pack writes the archive, the same bytes for the same files, and its
// checksum as sha256sum(1) writes it.
func pack(folder, out string, modified time.Time) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	temp := out + ".tmp"
	f, err := os.Create(temp)
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	sum := sha256.New()
	err = writeArchive(io.MultiWriter(f, sum), folder, modified)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("packing: %w", errors.Join(err, os.Remove(temp)))
	}
	if err := os.Rename(temp, out); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	line := fmt.Sprintf("%s  %s\n", hex.EncodeToString(sum.Sum(nil)), filepath.Base(out))
	if err := os.WriteFile(out+".sha256", []byte(line), 0o644); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	return nil
}

// writeArchive packs quickly: most of it, the layers of images, is compressed
// already.
func writeArchive(w io.Writer, folder string, modified time.Time) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zip)
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return addFile(archive, folder, path, modified)
	})
	return errors.Join(err, archive.Close(), zip.Close())
}

func addFile(archive *tar.Writer, folder, path string, modified time.Time) error {
	name, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	header := &tar.Header{Name: name, Mode: mode, Size: info.Size(), ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}
