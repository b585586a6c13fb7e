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

const payloadName = "payload.zip"

// packPayload makes the payload, a zip archive, of the folders bin and images.
func packPayload(target, work string) error {
	var files []string
	for _, dir := range []string{"bin", "images"} {
		found, err := filepath.Glob(filepath.Join(work, dir, "*"))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	sort.Strings(files)
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	if err := withProgress("packing the payload", func() error { return pack(out, work, files) }); err != nil {
		out.Close()
		return fmt.Errorf("payload: %w", err)
	}
	return out.Close()
}

// appendFile puts a file at the end of another.
func appendFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
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
