package cgroup

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func place(t *testing.T, unit string) *Place {
	t.Helper()
	dir := t.TempDir()
	p, err := New(Config{Dir: filepath.Join(dir, "state"), Record: filepath.Join(dir, "run/groups"), Unit: unit, Limits: Limits{CPUs: 1.5, Memory: 2 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlaceRemembersWhatItMade(t *testing.T) {
	p := place(t, "")
	root := t.TempDir() // a folder like any other stands for a hierarchy
	h := hierarchy{point: root, controllers: []string{"pids"}}
	own := filepath.Join(root, "scope", ownName)
	for range 2 { // making it again changes nothing
		for _, dir := range []string{own, filepath.Join(own, stepsName)} {
			if err := p.makeGroup(h, dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{root + "/scope", own, own + "/" + stepsName}; !slices.Equal(p.recorded(), want) {
		t.Errorf("recorded %q, want %q", p.recorded(), want)
	}
	if left, err := p.Leftovers(); err != nil || len(left) != 2 {
		t.Errorf("left over: %q, %v", left, err)
	}
	// Someone else is on the way to it now, and a step's group is below it.
	for _, dir := range []string{filepath.Join(root, "scope/other"), filepath.Join(own, stepsName, "buildkit/x")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := p.Remove(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if isDir(own) || !isDir(filepath.Join(root, "scope/other")) || len(p.recorded()) != 0 {
		t.Errorf("own is there: %v, the other's: %v, recorded: %q", isDir(own), isDir(filepath.Join(root, "scope/other")), p.recorded())
	}
	if left, err := p.Leftovers(); err != nil || len(left) != 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestOurs(t *testing.T) {
	tests := map[string]bool{
		"/sys/fs/cgroup/memory/a/hks-build":                              true,
		"/sys/fs/cgroup/memory/a/hks-build/steps":                        true,
		"/sys/fs/cgroup/cpuset/system.slice/hks-buildkitd.service/steps": true,
		"/sys/fs/cgroup/memory/a":                                        false,
		"/sys/fs/cgroup/memory/hks-builds":                               false,
		"/sys/fs/cgroup/cpuset/system.slice":                             false,
	}
	p := place(t, "hks-buildkitd.service")
	for group, want := range tests {
		if got := p.ours(group); got != want {
			t.Errorf("%s: %v", group, got)
		}
	}
}

func TestUnitOptions(t *testing.T) {
	want := map[string]string{"CPUQuota": "150%", "CPUWeight": "6", "IOWeight": "10", "MemoryMax": "2684354560", "TasksMax": "infinity"}
	if got := place(t, "x.service").UnitOptions(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
