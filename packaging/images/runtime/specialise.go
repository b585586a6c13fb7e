package main

import (
	"archive/tar"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
)

// maxArchive is what a function may take unpacked, in bytes.
const maxArchive = 200 << 20

// root is where the function is put: a tmpfs.
const root = "/function"

// function is what the signed header says; the body is its archive.
type function struct {
	Entry     string            `json:"entry"`
	Signature string            `json:"signature"` // http or cloudevent
	Source    string            `json:"source"`    // file with the function, where the language asks for one
	Digest    string            `json:"digest"`    // SHA-256 of the archive, hex
	Env       map[string]string `json:"env"`
	Dir       string            `json:"dir"`
}

// specialiser turns the generic process into one function, once.
type specialiser struct {
	key  []byte
	host *host
	used atomic.Bool
	done chan struct{} // closed when it was used
}

func (s *specialiser) serve(w http.ResponseWriter, r *http.Request) {
	header := r.Header.Get("X-Hks-Function")
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(header))
	sent, err := hex.DecodeString(r.Header.Get("X-Hks-Signature"))
	if err != nil || !hmac.Equal(sent, mac.Sum(nil)) {
		http.Error(w, "not signed by the agent", http.StatusForbidden)
		return
	}
	if s.used.Swap(true) {
		http.Error(w, "this pod has its function already", http.StatusConflict)
		return
	}
	defer close(s.done)
	status := http.StatusOK
	answered := map[string]string{"port": servePort}
	if err := s.specialise(r, header); err != nil {
		status, answered = http.StatusUnprocessableEntity, map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answered) // who asked is gone, then
}

func (s *specialiser) specialise(r *http.Request, header string) error {
	text, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return fmt.Errorf("reading the call: %w", err)
	}
	f := function{}
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("reading the call: %w", err)
	}
	f.Dir = root
	sum := sha256.New()
	body := io.TeeReader(http.MaxBytesReader(nil, r.Body, maxArchive), sum)
	if err := unpack(root, body); err != nil {
		return fmt.Errorf("unpacking the function: %w", err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.Digest {
		return errors.New("the archive is not the one that was signed for")
	}
	return s.host.load(r.Context(), f)
}

// unpack writes the archive below dir; nothing in it can lead out.
func unpack(dir string, from io.Reader) error {
	into, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer into.Close()
	for in := tar.NewReader(from); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(head.Name)
		if name == "." {
			continue
		}
		switch head.Typeflag {
		case tar.TypeDir:
			err = into.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = into.Symlink(head.Linkname, name)
		case tar.TypeLink:
			err = into.Link(filepath.Clean(head.Linkname), name)
		case tar.TypeReg:
			err = file(into, name, os.FileMode(head.Mode).Perm(), in)
		}
		if err != nil {
			return err
		}
	}
}

func file(into *os.Root, name string, mode os.FileMode, from io.Reader) error {
	if err := into.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := into.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}
