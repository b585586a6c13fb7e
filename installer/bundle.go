package installer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

// The files that seal an unpacked bundle.
const (
	BundleSums      = "SHA256SUMS"     // lines of sha256sum(1), for all other files
	BundleSignature = "SHA256SUMS.sig" // ed25519 over BundleSums, in base64
)

// SealBundle writes the checksums of all files below folder, and signs them.
func SealBundle(folder string, key ed25519.PrivateKey) error {
	files, err := bundleFiles(folder)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, name := range files {
		sum, err := hashFile(filepath.Join(folder, name))
		if err != nil {
			return fmt.Errorf("sealing the bundle: %w", err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key, sums.Bytes())) + "\n"
	if err := errors.Join(
		replaceFile(filepath.Join(folder, BundleSums), sums.Bytes(), 0o644),
		replaceFile(filepath.Join(folder, BundleSignature), []byte(signature), 0o644),
	); err != nil {
		return fmt.Errorf("sealing the bundle: %w", err)
	}
	return nil
}

// VerifyBundle checks that folder holds exactly the files that the owner of
// key, an ed25519 public key in base64, has signed.
func VerifyBundle(folder, key string) error {
	public, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return &agent.Error{
			Code:    agent.CodeInvalid,
			Message: "this hks-installer was built without the key that bundles are signed with",
			Fix:     "use the hks-installer of a bundle, or make one with make bundle",
		}
	}
	sums, err := os.ReadFile(filepath.Join(folder, BundleSums))
	if err != nil {
		return damaged("its list of checksums can't be read: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, BundleSignature))
	if err != nil {
		return damaged("its signature can't be read: %v", err)
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || !ed25519.Verify(public, sums, signature) {
		return damaged("its signature is not by the key of this hks-installer")
	}
	want, err := parseSums(string(sums))
	if err != nil {
		return damaged("%v", err)
	}
	files, err := bundleFiles(folder)
	if err != nil {
		return damaged("%v", err)
	}
	for _, name := range files {
		if _, ok := want[name]; !ok {
			return damaged("the file %s does not belong to it", name)
		}
	}
	for name, sum := range want {
		if !slices.Contains(files, name) {
			return damaged("the file %s is missing", name)
		}
		have, err := hashFile(filepath.Join(folder, name))
		if err != nil {
			return damaged("%v", err)
		}
		if have != sum {
			return damaged("the file %s was changed", name)
		}
	}
	return nil
}

// damaged is what a bundle that can't be trusted is answered with.
func damaged(format string, args ...any) error {
	return &preflightError{&agent.Error{
		Code:    agent.CodeInvalid,
		Message: "the bundle is not as it was signed: " + fmt.Sprintf(format, args...) + "; nothing was changed",
		Fix:     "download the bundle again, from where hks is published",
	}}
}

// bundleFiles lists the files below folder without those of the seal, sorted.
// A link or anything else that is no file is refused: what it leads to is not
// what was signed.
func bundleFiles(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		if strings.ContainsAny(name, " \t\n") {
			return fmt.Errorf("the name %q has white space", name)
		}
		if name != BundleSums && name != BundleSignature {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the bundle: %w", err)
	}
	slices.Sort(files)
	return files, nil
}
