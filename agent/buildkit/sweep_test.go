package buildkit

import (
	"os"
	"path/filepath"
	"testing"
)

// Folders of builds that were cut off go; all else in the folder of temporary
// files stays, most of all that of a build under way.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	underWay, err := openFolders(Job{Dockerfile: []byte("FROM scratch\n")})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{filepath.Base(underWay.made): true}
	for name, stays := range map[string]bool{
		"hks-build-123": false, "hks-build-4": false,
		"hks-build-": true, "hks-build-12a": true, "hks-builds-12": true, "my-hks-build-12": true, "hks-build-open-12": true,
	} {
		kept[name] = stays
		if err := os.MkdirAll(filepath.Join(dir, name, localDockerfile), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	kept["hks-build-55"] = true // open to others, so not made by us
	if err := os.Mkdir(filepath.Join(dir, "hks-build-55"), 0o755); err != nil {
		t.Fatal(err)
	}
	kept["hks-build-66"] = true // a file
	if err := os.WriteFile(filepath.Join(dir, "hks-build-66"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kept["hks-build-77"], kept["elsewhere"] = true, true // a link, and where it leads
	if err := os.Mkdir(filepath.Join(dir, "elsewhere"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "hks-build-77")); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	for name, stays := range kept {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s: %v, it was to stay: %v", name, err, stays)
		}
	}
	made := underWay.made
	underWay.close()
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("the folder of a build that ended stays: %v", err)
	}
}
