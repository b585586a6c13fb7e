package installer

import (
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/hosts"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// cycle is a run of up: what is still to be changed is recorded and changed.
func cycle(t *testing.T, j *Journal, steps ...step) int {
	t.Helper()
	made, err := (&machine{}).applySteps(t.Context(), j, steps)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func undoAll(t *testing.T, j *Journal, steps ...step) {
	t.Helper()
	if err := (&machine{}).undoSteps(t.Context(), j, steps); err != nil {
		t.Fatal(err)
	}
}

func newPaths(t *testing.T) (config.Paths, *Journal) {
	t.Helper()
	settings := config.Default(t.TempDir())
	paths := settings.Paths()
	j := openJournal(t, paths.State("journal.jsonl"))
	t.Cleanup(func() { _ = j.Close() })
	return paths, j
}

func versionSteps(paths config.Paths, version string, sources map[string]string) []step {
	order := []string{"hks", "k3s"}
	return []step{
		&filesStep{paths: paths, version: version, sources: sources, order: order},
		&linksStep{paths: paths, version: version, names: order},
	}
}

func TestProgramsArePlacedSwitchedAndTakenAway(t *testing.T) {
	paths, j := newPaths(t)
	build := t.TempDir()
	sources := map[string]string{"hks": filepath.Join(build, "hks"), "k3s": filepath.Join(build, "k3s")}
	write(t, sources["hks"], "one")
	write(t, sources["k3s"], "engine")
	one := versionSteps(paths, "v1", sources)
	if made := cycle(t, j, one...); made != 4 {
		t.Errorf("%d changes, want 4", made)
	}
	if made := cycle(t, j, one...); made != 0 {
		t.Errorf("%d changes in a second run", made)
	}
	write(t, sources["hks"], "two")
	two := versionSteps(paths, "v2", sources)
	cycle(t, j, two...)
	if got := read(t, paths.Bin("hks")); got != "two" {
		t.Errorf("hks = %q", got)
	}
	inode := func(version string) uint64 {
		info, err := os.Stat(filepath.Join(paths.Versions(), version, "k3s"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	if inode("v1") != inode("v2") {
		t.Error("the same k3s was copied: the engine would restart for nothing")
	}
	undoAll(t, j, one...) // any instance of the steps can undo
	for _, path := range []string{paths.Bin("hks"), paths.Bin("k3s"), paths.Versions()} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestUndoKeepsALinkThatSomeoneElseChanged(t *testing.T) {
	paths, j := newPaths(t)
	build := filepath.Join(t.TempDir(), "x")
	write(t, build, "x")
	steps := versionSteps(paths, "v1", map[string]string{"hks": build, "k3s": build})
	cycle(t, j, steps...)
	if err := relink(paths.Bin("k3s"), "/opt/k3s"); err != nil {
		t.Fatal(err)
	}
	undoAll(t, j, steps...)
	if target, err := os.Readlink(paths.Bin("k3s")); err != nil || target != "/opt/k3s" {
		t.Errorf("link = %q, %v", target, err)
	}
}

func TestKernelSettingsArePutBack(t *testing.T) {
	paths, j := newPaths(t)
	proc := t.TempDir()
	forward, panicking := filepath.Join(proc, "net/ipv4/ip_forward"), filepath.Join(proc, "kernel/panic")
	write(t, forward, "0\n")
	write(t, panicking, "0\n")
	s := &settingsStep{folder: proc, journal: j}
	if made := cycle(t, j, s); made != 2 {
		t.Errorf("%d settings remembered, want the 2 that exist", made)
	}
	write(t, forward, "1\n") // Kubernetes
	if made := cycle(t, j, s); made != 0 {
		t.Errorf("%d settings remembered again: Kubernetes's value would pass for the machine's", made)
	}
	undoAll(t, j, s)
	if got := read(t, forward); got != "0" {
		t.Errorf("ip_forward = %q", got)
	}
	if got := read(t, panicking); got != "0\n" {
		t.Errorf("a setting that nobody changed was written: %q", got)
	}
	if err := s.undo(t.Context(), Change{Target: "../../etc/passwd", Before: new(string)}); err == nil {
		t.Error("a path out of the folder was taken")
	}
	_ = paths
}

func TestHostNamesAreTakenAway(t *testing.T) {
	paths, j := newPaths(t)
	file := hosts.File{Path: paths.Hosts()}
	write(t, file.Path, "127.0.0.1 localhost\n")
	s := &hostsStep{file: file, journal: j}
	if cycle(t, j, s) != 1 || cycle(t, j, s) != 0 {
		t.Error("want it noted once")
	}
	if err := file.Set(t.Context(), map[string]string{"web.localhost": "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	undoAll(t, j, s)
	if got := read(t, file.Path); got != "127.0.0.1 localhost\n" {
		t.Errorf("hosts = %q", got)
	}
}

func TestUndoOfAnUnknownKindIsAnError(t *testing.T) {
	_, j := newPaths(t)
	if err := j.Record(Change{Kind: "firewall", Target: "zone"}); err != nil {
		t.Fatal(err)
	}
	if err := (&machine{}).undoSteps(t.Context(), j, nil); err == nil || len(j.pending) != 1 {
		t.Errorf("error = %v, pending %d", err, len(j.pending))
	}
}

func TestParseExtra(t *testing.T) {
	got, err := parseExtra([]string{"kubelet-arg=fail-cgroupv1=false", "flannel-backend=host-gw", "https-listen-port=7443", "tls-san=a", "tls-san=b", "disable=[x, y]"})
	want := map[string]any{
		"kubelet-arg": []any{"fail-cgroupv1=false"}, "flannel-backend": "host-gw", "https-listen-port": 7443,
		"tls-san": []any{"a", "b"}, "disable": []any{"x", "y"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v (%v)", got, want, err)
	}
	for _, bad := range []string{"novalue", "=x", "a=[", "a={"} {
		if _, err := parseExtra([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
