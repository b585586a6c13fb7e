package installer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

const (
	binaryText = "#!/bin/k3s\n"
	imagesText = "zstd of images\n"
)

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

func goodSums() string {
	return sum(binaryText) + "  k3s\n" + sum(imagesText) + "  k3s-airgap-images-amd64.tar.zst\n"
}

// mirror serves a release; hits counts requests for files.
func mirror(t *testing.T, sums string, serve func(http.ResponseWriter, string) bool) (string, map[string]int) {
	t.Helper()
	hits := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/dl/v1.36.2+k3s1/")
		hits[name]++
		switch {
		case !ok:
			http.NotFound(w, r)
		case name == "sha256sum-amd64.txt":
			fmt.Fprint(w, sums)
		case serve != nil && serve(w, name):
		case name == "k3s":
			fmt.Fprint(w, binaryText)
		case name == "k3s-airgap-images-amd64.tar.zst":
			fmt.Fprint(w, imagesText)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/dl/", hits
}

func fetchInto(t *testing.T, dir, mirror, record string, locked map[string]string) error {
	t.Helper()
	f, err := newFetcher(fetchOptions{mirror: mirror, to: dir, arch: "amd64", images: true, record: record}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for name, sum := range locked {
		f.lock.sums[name] = sum
	}
	return f.fetch(t.Context())
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestFetchVerifiesAndRecords(t *testing.T) {
	dir := t.TempDir()
	url, hits := mirror(t, goodSums(), nil)
	record := filepath.Join(dir, "k3s.lock")
	if err := fetchInto(t, dir, url, record, nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "k3s"))
	if err != nil || string(data) != binaryText {
		t.Errorf("k3s = %q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "k3s")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode: %v, %v", info, err)
	}
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := parseLock(string(text))
	if err != nil || lock.version != "v1.36.2+k3s1" || lock.sums["k3s"] != sum(binaryText) || len(lock.sums) != 2 {
		t.Errorf("lock = %+v, %v", lock, err)
	}
	if err := fetchInto(t, dir, url, "", lock.sums); err != nil || hits["k3s"] != 1 {
		t.Errorf("a second fetch: %v, k3s was fetched %d times", err, hits["k3s"])
	}
}

func TestFetchWithoutRecordedChecksumSaysSo(t *testing.T) {
	url, _ := mirror(t, goodSums(), nil)
	var said bytes.Buffer
	f, err := newFetcher(fetchOptions{mirror: url, to: t.TempDir(), arch: "amd64"}, &said)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"k3s.lock has no checksum yet", "--record"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("said %q, want %q", said.String(), want)
		}
	}
}

func TestFetchLeavesNothingThatIsNotVerified(t *testing.T) {
	other := strings.Repeat("0", 64)
	tests := map[string]struct {
		sums   string
		locked map[string]string
		serve  func(http.ResponseWriter, string) bool
		code   agent.Code
		want   string
	}{
		"mismatch": {goodSums(), nil, func(w http.ResponseWriter, name string) bool {
			fmt.Fprint(w, "something else")
			return true
		}, agent.CodeConflict, "was thrown away"},
		"truncated": {goodSums(), nil, func(w http.ResponseWriter, name string) bool {
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, "begun")
			return true
		}, agent.CodeNotFound, "cut off"},
		"another release than the locked one": {goodSums(), map[string]string{"k3s": other}, nil, agent.CodeConflict, other},
		"no such file": {goodSums(), nil, func(w http.ResponseWriter, name string) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, agent.CodeNotFound, "404"},
		"not in the checksum file": {sum(binaryText) + "  k3s.old\n", nil, nil, "", "no line for k3s"},
		"no checksum file":         {"<html>log in first</html>", nil, nil, "", "not understood"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			url, _ := mirror(t, tt.sums, tt.serve)
			err := fetchInto(t, dir, url, filepath.Join(dir, "k3s.lock"), tt.locked)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if e, ok := errors.AsType[*agent.Error](err); tt.code != "" && (!ok || e.Code != tt.code || !strings.Contains(e.Fix, "HKS_K3S_BINARY")) {
				t.Errorf("error = %#v", e)
			}
			if left := names(t, dir); left != "" {
				t.Errorf("files left: %s", left)
			}
		})
	}
}

func TestFetchUnreachableNamesTheWaysOut(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	err := fetchInto(t, t.TempDir(), server.URL, "", nil)
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		t.Fatalf("error = %v", err)
	}
	for _, want := range []string{"HKS_K3S_BINARY", "make k3s", "HKS_MIRROR"} {
		if !strings.Contains(e.Fix, want) {
			t.Errorf("fix = %q lacks %s", e.Fix, want)
		}
	}
}

func TestNewFetcherRefuses(t *testing.T) {
	for name, o := range map[string]fetchOptions{"arch": {arch: "mips"}, "mirror": {mirror: "ftp://x"}, "no URL": {mirror: "here"}} {
		if _, err := newFetcher(o, nil); !errors.As(err, new(usageError)) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

func TestLockFile(t *testing.T) {
	lock, err := parseLock(embeddedLock)
	if err != nil || !releaseGrammar.MatchString(lock.version) {
		t.Fatalf("the repository's own lock file: %+v, %v", lock, err)
	}
	lock.sums["k3s"] = sum("x")
	again, err := parseLock(lock.text())
	if err != nil || again.sums["k3s"] != sum("x") || !strings.HasPrefix(lock.text(), "# The k3s release") {
		t.Errorf("written and read again: %+v, %v", again, err)
	}
	for name, text := range map[string]string{
		"no version": "sha256 " + sum("x") + " k3s\n", "two versions": "version v1.2.3+k3s1\nversion v1.2.3+k3s2\n",
		"not a release": "version latest\n", "not a checksum": "version v1.2.3+k3s1\nsha256 abc k3s\n",
		"a path": "version v1.2.3+k3s1\nsha256 " + sum("x") + " ../k3s\n", "another word": "version v1.2.3+k3s1\nmd5 x k3s\n",
	} {
		if _, err := parseLock(text); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}
