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

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"hks.dev/hks/agent"
)

const (
	maxManifest = 256 << 20 // bytes; a part takes some 200
	maxWindow   = 64 << 20  // of the decompressor, bytes
)

// Read reads a whole archive, hands each part to visit, and returns the
// manifest when every part was there exactly once with the bytes and the
// SHA-256 that the manifest says. A nil visit only checks. What visit was
// given counts only when Read returns no error.
func Read(ctx context.Context, from io.Reader, key Key, visit func(p Part, content io.Reader) error) (Manifest, error) {
	opened, err := age.Decrypt(from, key.identity)
	if err != nil {
		if errors.As(err, new(*age.NoIdentityMatchError)) {
			return Manifest{}, &agent.Error{
				Code: agent.CodeInvalid, Message: "this recovery key does not open the archive", Cause: err,
				Fix: "give the key of the appliance that made it; its public half is " + key.Recipient(),
			}
		}
		return Manifest{}, damaged(fmt.Errorf("it is no archive of hks: %w", err))
	}
	unpacked, err := zstd.NewReader(opened, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return Manifest{}, damaged(err)
	}
	defer unpacked.Close()
	seen := map[string]Part{}
	entries := tar.NewReader(&until{ctx, unpacked})
	for {
		header, err := entries.Next()
		if err != nil {
			return Manifest{}, damaged(fmt.Errorf("its manifest is missing: %w", err))
		}
		if header.Name == manifestName {
			m, err := readManifest(io.LimitReader(entries, maxManifest), seen)
			if err == nil {
				err = ended(entries, unpacked)
			}
			return m, err
		}
		if header.Typeflag != tar.TypeReg || !valid(header.Name) {
			return Manifest{}, damaged(fmt.Errorf("it holds %q, which can't be", header.Name))
		}
		if _, twice := seen[header.Name]; twice {
			return Manifest{}, damaged(fmt.Errorf("it holds %s twice", header.Name))
		}
		p := Part{Name: header.Name, Bytes: header.Size, Mode: header.FileInfo().Mode().Perm()}
		hash := sha256.New()
		content := io.TeeReader(entries, hash)
		if visit != nil {
			if err := visit(p, content); err != nil {
				return Manifest{}, err
			}
		}
		if _, err := io.Copy(io.Discard, content); err != nil { // what was not read
			return Manifest{}, damaged(err)
		}
		p.SHA256 = hex.EncodeToString(hash.Sum(nil))
		seen[p.Name] = p
	}
}

func readManifest(from io.Reader, seen map[string]Part) (Manifest, error) {
	var m Manifest
	if err := json.NewDecoder(from).Decode(&m); err != nil {
		return m, damaged(fmt.Errorf("reading its manifest: %w", err))
	}
	if m.Format != Format {
		return m, agent.Errorf(agent.CodeInvalid, "take the version of hks that made it, "+m.Contents.Version, "the archive has format %d, this version reads %d", m.Format, Format)
	}
	for _, p := range m.Parts {
		got, ok := seen[p.Name]
		if !ok || got.Bytes != p.Bytes || got.SHA256 != p.SHA256 {
			return m, damaged(fmt.Errorf("%s is not as it was saved", p.Name))
		}
	}
	if len(seen) != len(m.Parts) {
		return m, damaged(fmt.Errorf("it holds %d files, its manifest names %d", len(seen), len(m.Parts)))
	}
	return m, nil
}

// ended reads to the very end: only there age says that nothing is missing.
func ended(entries *tar.Reader, unpacked io.Reader) error {
	if _, err := entries.Next(); !errors.Is(err, io.EOF) {
		return damaged(fmt.Errorf("something follows its manifest: %w", err))
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return damaged(err)
	}
	return nil
}

func damaged(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("reading the archive: %w", err)
	}
	return agent.Errorf(agent.CodeInvalid, "take another archive, or its copy elsewhere", "the archive is damaged: %w", err)
}
