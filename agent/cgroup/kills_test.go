package cgroup

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestA74KillsOfProcessesAreCounted(t *testing.T) {
	root := t.TempDir()
	put := func(file, text string) {
		t.Helper()
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a/kubepods/burstable/podaa-1/c1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
	put("a/kubepods/burstable/podaa-1/c2/memory.oom_control", "oom_kill 1\n")
	put("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podbb_2.slice/cri-x.scope/memory.events.local", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 4\noom_group_kill 0\n")
	put("kubepods.slice/kubepods-podcc_3.slice/cri-y.scope/memory.events.local", "oom_kill 0\n")
	kills, err := NewKills(root)
	if err != nil {
		t.Fatal(err)
	}
	look := func(want map[string]int64) {
		t.Helper()
		got, err := kills.Of([]string{"aa-1", "bb-2", "cc-3", "elsewhere"})
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	look(map[string]int64{"aa-1": 3, "bb-2": 4, "cc-3": 0})
	put("a/kubepods/burstable/podaa-1/c2/memory.oom_control", "oom_kill 5\n")
	if err := os.RemoveAll(filepath.Join(root, "kubepods.slice/kubepods-podcc_3.slice")); err != nil {
		t.Fatal(err)
	}
	look(map[string]int64{"aa-1": 7, "bb-2": 4})
}
