package installer

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testKey(seed string) (ed25519.PrivateKey, string) {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, ed25519.SeedSize)))
	return key, base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// A90, A91: a bundle that is not as it was signed is refused, with exit code 3.
func TestA91BundleIsVerified(t *testing.T) {
	key, public := testKey("k")
	_, stranger := testKey("s")
	tests := map[string]struct {
		harm func(t *testing.T, folder string)
		key  string
		want string // in the error; "": accepted
	}{
		"as signed": {func(*testing.T, string) {}, public, ""},
		"a changed file": {func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "hks"), "other")
		}, public, "hks was changed"},
		"a changed file with its checksum": {func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "hks"), "other")
			other, _ := testKey("s")
			if err := SealBundle(folder, other); err != nil {
				t.Fatal(err)
			}
		}, public, "signature is not by the key"},
		"one file more": {func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "images/more.tar"), "x")
		}, public, "images/more.tar does not belong"},
		"a missing file": {func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, "images/go.tar")); err != nil {
				t.Fatal(err)
			}
		}, public, "images/go.tar is missing"},
		"a link": {func(t *testing.T, folder string) {
			if err := os.Symlink("hks", filepath.Join(folder, "k3s")); err != nil {
				t.Fatal(err)
			}
		}, public, "k3s is not a regular file"},
		"no signature": {func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, BundleSignature)); err != nil {
				t.Fatal(err)
			}
		}, public, "signature can't be read"},
		"the key of someone else": {func(*testing.T, string) {}, stranger, "signature is not by the key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, filepath.Join(folder, "hks"), "program")
			write(t, filepath.Join(folder, "images/go.tar"), "image")
			if err := SealBundle(folder, key); err != nil {
				t.Fatal(err)
			}
			tt.harm(t, folder)
			root := t.TempDir()
			for _, args := range [][]string{{"verify", folder}, {"up", "--root", root, "--from", folder}} {
				if tt.want == "" && args[0] == "up" {
					continue // the machine is not this test's
				}
				var out, errs strings.Builder
				code := Run(t.Context(), Config{Args: args, Out: &out, Err: &errs, Version: "v0", BundleKey: tt.key})
				if tt.want == "" && code != 0 || tt.want != "" && (code != exitPreflight || !strings.Contains(errs.String(), tt.want)) {
					t.Errorf("%s: exit %d, printed %s%s, want %q", args[0], code, &out, &errs, tt.want)
				}
			}
			if left := names(t, root); left != "" {
				t.Errorf("changed: %s", left)
			}
		})
	}
}

func TestBundleWithoutKeyIsRefused(t *testing.T) {
	r := runArgs(t, "", nil, "verify", t.TempDir())
	if r.code != exitFailed || !strings.Contains(r.err, "make bundle") {
		t.Errorf("exit %d, printed %s", r.code, r.err)
	}
}
