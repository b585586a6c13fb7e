package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Writer writes an archive. It is not safe for concurrent use.
type Writer struct {
	sealed io.WriteCloser
	packed *zstd.Encoder
	tar    *tar.Writer
	parts  []Part
	names  map[string]bool
	bytes  int64
}

// NewWriter begins an archive that the key with this public half opens.
func NewWriter(to io.Writer, recipient string) (*Writer, error) {
	public, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("reading the recovery key's public half: %w", err)
	}
	sealed, err := age.Encrypt(to, public)
	if err != nil {
		return nil, fmt.Errorf("beginning an archive: %w", err)
	}
	packed, err := zstd.NewWriter(sealed, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("beginning an archive: %w", err)
	}
	return &Writer{sealed: sealed, packed: packed, tar: tar.NewWriter(packed), names: map[string]bool{}}, nil
}

// AddFile adds what is in a file now: what is appended meanwhile is left out,
// and one that became shorter is an error.
func (w *Writer) AddFile(ctx context.Context, name, file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("adding to the archive: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("adding to the archive: %w", err)
	}
	return w.Add(ctx, name, info.Mode().Perm(), info.Size(), f)
}

// Add adds a part of exactly that many bytes. A name that was added already is
// left as it is.
func (w *Writer) Add(ctx context.Context, name string, mode fs.FileMode, bytes int64, from io.Reader) error {
	if !valid(name) {
		return fmt.Errorf("%q can't be in an archive", name)
	}
	if w.names[name] {
		return nil
	}
	w.names[name] = true
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: bytes, Mode: int64(mode.Perm()), Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("adding %s to the archive: %w", name, err)
	}
	hash := sha256.New()
	if n, err := io.Copy(io.MultiWriter(w.tar, hash), &until{ctx, io.LimitReader(from, bytes)}); err != nil || n != bytes {
		if err == nil {
			err = fmt.Errorf("it has %d bytes only, not %d", n, bytes)
		}
		return fmt.Errorf("adding %s to the archive: %w", name, err)
	}
	w.parts = append(w.parts, Part{Name: name, Bytes: bytes, SHA256: hex.EncodeToString(hash.Sum(nil)), Mode: mode.Perm()})
	w.bytes += bytes
	return nil
}

// Close writes the manifest, whose parts, files and bytes are those that were
// added, and ends the archive. What it was written to stays open.
func (w *Writer) Close(m Manifest) (Manifest, error) {
	m.Format, m.Parts = Format, w.parts
	m.Contents.Files, m.Contents.Bytes = len(w.parts), w.bytes
	data, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("writing the archive's manifest: %w", err)
	}
	err = w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(data)), Mode: 0o600, Format: tar.FormatPAX})
	if err == nil {
		_, err = w.tar.Write(data)
	}
	if err = errors.Join(err, w.tar.Close(), w.packed.Close(), w.sealed.Close()); err != nil {
		return m, fmt.Errorf("ending the archive: %w", err)
	}
	return m, nil
}

// until reads as long as its context lasts.
type until struct {
	ctx context.Context
	io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
