package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// build compiles hks and an hks-installer that knows the key, into a new folder.
func build(t *testing.T, key string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"hks", "hks-installer"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v1.2.3 -X main.bundleKey="+key,
			"-o", folder+"/", "../../cmd/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
	return folder
}

func publicHalf(t *testing.T, key string) string {
	t.Helper()
	private, err := readKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodePublic(private)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// install runs install.sh for the command line alone.
func install(t *testing.T, environ ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "../../scripts/install.sh")
	cmd.Env = append(os.Environ(), append(environ, "HKS_ONLY=cli", "TMPDIR="+t.TempDir())...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A90: two builds give the same bundle; the script installs from a server and
// offline, and refuses what was tampered with.
func TestA90BundleIsReproducibleAndInstalls(t *testing.T) {
	work := t.TempDir()
	key := filepath.Join(work, "key")
	name := "hks-v1.2.3-linux-" + runtime.GOARCH + ".tar.gz"
	public := publicHalf(t, key)
	var archives []string
	for _, server := range []string{"one", "two"} {
		out := filepath.Join(work, server, name)
		if err := run([]string{"-key", key, "-folder", build(t, public), "-version", "v1.2.3", "-epoch", "1700000000", "-out", out}); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, out)
	}
	if !bytes.Equal(read(t, archives[0]), read(t, archives[1])) {
		t.Error("two builds differ")
	}
	served := filepath.Dir(archives[0])
	if err := os.WriteFile(filepath.Join(served, "latest"), []byte("v1.2.3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(served)))
	defer server.Close()

	for how, variable := range map[string]string{"server": "HKS_MIRROR=" + server.URL, "offline": "HKS_BUNDLE=" + archives[1]} {
		root := t.TempDir()
		for range 2 { // the second time over what is there
			if out, err := install(t, variable, "HKS_ROOT="+root); err != nil {
				t.Fatalf("%s: %v\n%s", how, err, out)
			}
		}
		version, _ := exec.CommandContext(t.Context(), filepath.Join(root, "usr/local/bin/hks"), "version").Output() // it prints its own, then misses a login
		if !strings.Contains(string(version), "v1.2.3") {
			t.Errorf("%s: hks version: %s", how, version)
		}
	}

	// Signed by someone else, its checksum right: an installer that is here refuses it.
	root := t.TempDir()
	bin := filepath.Join(root, "usr/local/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := publicHalf(t, filepath.Join(work, "stranger"))
	if err := os.Rename(filepath.Join(build(t, stranger), "hks-installer"), filepath.Join(bin, "hks-installer")); err != nil {
		t.Skipf("moving between file systems: %v", err)
	}
	if out, err := install(t, "HKS_BUNDLE="+archives[1], "HKS_ROOT="+root); err == nil || !strings.Contains(out, "signature is not by the key") {
		t.Errorf("signed by someone else: %v\n%s", err, out)
	}

	data := read(t, archives[1])
	data[len(data)/2] ^= 1
	if err := os.WriteFile(archives[1], data, 0o644); err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	if out, err := install(t, "HKS_BUNDLE="+archives[1], "HKS_ROOT="+root); err == nil || !strings.Contains(out, "nothing was changed") {
		t.Errorf("a flipped bit: %v\n%s", err, out)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
		t.Errorf("changed: %v %v", entries, err)
	}
}

func TestSBOMNamesTheModules(t *testing.T) {
	folder := build(t, "")
	if err := writeSBOM(folder, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	var bill sbom
	if err := json.Unmarshal(read(t, filepath.Join(folder, sbomFile)), &bill); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, c := range bill.Components {
		found[c.Name] = c.Version != ""
	}
	for _, name := range []string{"hks", "hks-installer", "stdlib", "github.com/spf13/cobra"} {
		if !found[name] {
			t.Errorf("%s is missing, or its version", name)
		}
	}
}
