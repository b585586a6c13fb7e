package installer

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

func TestCompareVersions(t *testing.T) {
	tests := []struct {
		a, b  string
		order int
		known bool
	}{
		{"v1.2.3", "v1.2.3", 0, true}, {"v1.2.3", "v1.10.0", -1, true}, {"2.0.0", "v1.9.9", 1, true},
		{"v1.2.3-4-gabc123", "v1.2.3", 1, true}, {"v1.2.3-4-gabc123", "v1.2.3-14-gdef", -1, true}, {"v1.2.4", "v1.2.3-4-gabc123", 1, true},
		{"v1.2.3-rc.1", "v1.2.3", -1, true}, {"v1.2.3-rc.2", "v1.2.3-rc.10", -1, true}, {"v1.2.3-rc.1-3-gabc123", "v1.2.3-rc.1", 1, true},
		{"v1.2.3-dirty", "v1.2.3", 0, true}, {"4d752b2", "v1.2.3", 0, false}, {"dev", "dev", 0, true}, {"dev", "4d752b2", 0, false},
	}
	for _, tt := range tests {
		if order, known := compareVersions(tt.a, tt.b); order != tt.order || known != tt.known {
			t.Errorf("compareVersions(%q, %q) = %d, %v; want %d, %v", tt.a, tt.b, order, known, tt.order, tt.known)
		}
		if order, known := compareVersions(tt.b, tt.a); order != -tt.order || known != tt.known {
			t.Errorf("compareVersions(%q, %q) = %d, %v; want %d, %v", tt.b, tt.a, order, known, -tt.order, tt.known)
		}
	}
}

// version makes a folder with the programs of another version.
func (b box) version(t *testing.T, version, mode string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range append([]string{"k3s"}, programs...) {
		if err := os.Symlink(os.Args[0], filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "hks-agent")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, read(t, os.Args[0])+fakeMark+version+" "+mode+"\n")
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func (b box) upgrade(t *testing.T, from string, more ...string) result {
	t.Helper()
	return b.run(t, append([]string{"upgrade", "--from", from, "--timeout", "30s"}, more...)...)
}

// happened lists what the agent's database knows of, newest first.
func (b box) happened(t *testing.T) []string {
	t.Helper()
	lines, _, err := store.ActivitiesIn(t.Context(), b.paths.State("hks.db"), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func (b box) work(t *testing.T, message string) {
	t.Helper()
	if err := fakeWork(b.root, message); err != nil {
		t.Fatal(err)
	}
}

func (b box) change(t *testing.T) change {
	t.Helper()
	var c change
	if err := json.Unmarshal([]byte(read(t, b.paths.UpgradeFile())), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// whole wants one version in place, as a whole, and serving.
func (b box) whole(t *testing.T, version string) {
	t.Helper()
	for _, name := range append([]string{"k3s"}, programs...) {
		target, err := os.Readlink(b.paths.Bin(name))
		if err != nil || target != filepath.Join(b.paths.Versions(), version, name) {
			t.Errorf("%s leads to %q (%v), want version %s", name, target, err, version)
		}
	}
	m := b.machine(t, nil)
	if !m.serves(t.Context(), version) {
		t.Errorf("%s does not serve", version)
	}
}

func (b box) machine(t *testing.T, reached func(string)) *machine {
	t.Helper()
	m, err := newMachine(Config{Out: io.Discard, Err: t.Output(), Environ: os.Environ(), Version: "v0.0.0-test"}, b.root)
	if err != nil {
		t.Fatal(err)
	}
	m.reached = reached
	return m
}

func TestA92UpgradeSwitchesTheVersion(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t), 0)
	b.work(t, "before")
	first := b.pids(t)
	next := b.version(t, "v0.2.0", "")

	want(t, b.upgrade(t, next, "--dry-run"), 0, "would upgrade from v0.0.0-test to v0.2.0")
	if b.pids(t) != first || exists(b.paths.UpgradeFile()) {
		t.Error("a dry run changed something")
	}
	r := b.upgrade(t, next, "--json")
	want(t, r, 0, "stopping the agent", "taking a snapshot", "switching to v0.2.0", `"state": "done"`)
	b.whole(t, "v0.2.0")
	if now := b.pids(t); now[0] == first[0] || now[1] != first[1] || now[2] != first[2] {
		t.Errorf("pids %v, before %v; want another agent, the same engine and gateway", now, first)
	}
	if log := read(t, b.paths.State("installer.log")); !strings.Contains(log, "upgrade: switching to v0.2.0") {
		t.Errorf("log:\n%s", log)
	}
	want(t, b.upgrade(t, next), 0, "v0.2.0 is installed already")
	want(t, b.upgrade(t, b.version(t, "v0.1.0", "")), exitFailed, "older than v0.2.0", "hks-installer rollback")
}

func TestA92RollbackBringsBackWhatWasKnown(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t), 0)
	b.work(t, "before")
	want(t, b.run(t, "rollback", "--yes"), exitFailed, "no version to go back to")
	want(t, b.upgrade(t, b.version(t, "v0.2.0", "")), 0)
	time.Sleep(2 * time.Millisecond) // what happens next is later than the end of the upgrade
	b.work(t, "after")
	want(t, b.run(t, "rollback", "--dry-run"), 0, "1 things have happened since", "test: after")
	want(t, b.run(t, "rollback"), exitFailed, "not confirmed")
	b.whole(t, "v0.2.0")
	want(t, b.run(t, "rollback", "--yes"), 0, "version v0.0.0-test serves again")
	b.whole(t, "v0.0.0-test")
	if got := b.happened(t); !slices.Equal(got, []string{"test: before"}) {
		t.Errorf("the database knows %q", got)
	}
	if c := b.change(t); c.Kind != agent.KindRollback || c.State != agent.UpgradeDone {
		t.Errorf("%+v", c.Upgrade)
	}
}

func TestA92FailedUpgradeGoesBackByItself(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t), 0)
	b.work(t, "before")
	first := b.pids(t)
	want(t, b.upgrade(t, b.version(t, "v0.2.0", "writes"), "--json"), exitFailed,
		"the upgrade to v0.2.0 failed, and v0.0.0-test serves again", "the new valve is stuck", `"state": "returned"`)
	b.whole(t, "v0.0.0-test")
	if got := b.happened(t); !slices.Equal(got, []string{"test: before"}) {
		t.Errorf("the database knows %q", got)
	}
	if now := b.pids(t); now[1] != first[1] || now[2] != first[2] {
		t.Errorf("pids %v, before %v: engine and gateway were touched", now, first)
	}
	want(t, b.upgrade(t, b.version(t, "v0.2.1", "")), 0)
	b.whole(t, "v0.2.1")
}

// A kill at any step, and the same command again, ends in one of the two
// versions, whole.
func TestA92CutOffAtEveryStep(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t), 0)
	b.work(t, "before")
	versions := []string{"v0.2.0", "v0.3.0", "v0.4.0", "v0.5.0", "v0.6.0", "v0.7.0"}
	for i, step := range []string{stepStage, stepStop, stepSnapshot, stepSwitch, stepStart, stepCheck} {
		from := b.version(t, versions[i], "")
		b.cutOff(t, step, from)
		if step == stepSwitch {
			want(t, b.up(t), exitFailed, "was cut off while it was to "+step)
		}
		want(t, b.upgrade(t, from), 0)
		b.whole(t, versions[i])
	}
	bad := b.version(t, "v0.8.0", "writes")
	b.cutOff(t, stepReturn, bad)
	want(t, b.upgrade(t, bad), exitFailed, "v0.7.0 serves again")
	b.whole(t, "v0.7.0")
	b.cutOff(t, stepStart, b.version(t, "v0.8.0", ""))
	want(t, b.run(t, "rollback", "--yes"), 0, "first it is brought to an end")
	b.whole(t, "v0.7.0")
	if got := b.happened(t); !slices.Equal(got, []string{"test: before"}) {
		t.Errorf("the database knows %q", got)
	}
}

// cutOff upgrades as far as to the begin of a step.
func (b box) cutOff(t *testing.T, step, from string) {
	t.Helper()
	m := b.machine(t, func(reached string) {
		if reached == step {
			panic("killed")
		}
	})
	defer func() {
		if recover() == nil {
			t.Fatalf("the step %s was not reached", step)
		}
	}()
	err := m.upgrade(t.Context(), upgradeOptions{from: from, timeout: 30 * time.Second})
	t.Errorf("it ended: %v", err)
}

func TestUninstallAsksForTheMachinesName(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t), 0)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want(t, b.run(t, "uninstall", "--dry-run"), 0, "stops    the agent", "removes  "+b.paths.State())
	want(t, b.run(t, "uninstall"), exitFailed, name, "not confirmed")
	want(t, b.run(t, "uninstall", "--keep-data", "--yes"), 0, "hks is down")
	if !exists(b.paths.ConfigFile()) || exists(b.paths.Versions()) {
		t.Error("--keep-data keeps the settings, and removes the programs")
	}
	want(t, b.up(t), 0)
	r := runArgs(t, name+"\n", os.Environ(), "uninstall", "--json", "--root", b.root)
	want(t, r, 0, `"removed": true`)
	if exists(b.paths.State()) || exists(b.paths.ConfigFile()) {
		t.Error("data are still there")
	}
}
