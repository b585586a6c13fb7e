package main

import (
	"archive/zip"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// assemble appends the payload, a zip archive, to the program.
func assemble(work string) (string, error) {
	whole := filepath.Join(work, "k3s")
	if err := os.Rename(filepath.Join(work, "kube"), whole); err != nil {
		return "", err
	}
	var files []string
	for _, dir := range []string{"bin", "images"} {
		found, err := filepath.Glob(filepath.Join(work, dir, "*"))
		if err != nil {
			return "", err
		}
		files = append(files, found...)
	}
	sort.Strings(files)
	out, err := os.OpenFile(whole, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	err = withProgress("packing the payload", func() error { return pack(out, work, files) })
	if err != nil {
		out.Close()
		return "", fmt.Errorf("payload: %w", err)
	}
	return whole, out.Close()
}

// pack writes the archive; its comment is the hash of what is in it, and so the name of the folder it unpacks to.
func pack(out io.Writer, work string, files []string) error {
	archive := zip.NewWriter(out)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	hash := sha256.New()
	for _, file := range files {
		name, err := filepath.Rel(work, file)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		fmt.Fprintln(hash, name)
		_, err = io.Copy(io.MultiWriter(w, hash), in)
		in.Close()
		if err != nil {
			return err
		}
	}
	if err := archive.SetComment(hex.EncodeToString(hash.Sum(nil))); err != nil {
		return err
	}
	return archive.Close()
}
