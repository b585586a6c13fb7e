package installer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hks.dev/hks/agent/config"
)

// alone runs the test again in a child with namespaces of its own: down cleans
// a machine, and must not clean the one that tests run on. It returns true in
// the child; false, with the child's verdict, in the parent.
func alone(t *testing.T) bool {
	t.Helper()
	const mark = "HKS_TEST_ALONE"
	if os.Geteuid() != 0 {
		t.Skip("needs root for namespaces")
	}
	if os.Getenv(mark) == "1" {
		for _, dir := range []string{"/run", "/sys/fs/cgroup"} {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		// The checks of the machine find a way out, ask no name server, and find a cgroup2 with all controllers.
		write(t, "/sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory pids\n")
		write(t, "/run/resolv.conf", "")
		if err := syscall.Mount("/run/resolv.conf", "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"link", "set", "lo", "up"}, {"route", "add", "default", "dev", "lo"}} {
			if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
				t.Fatalf("ip %v: %v %s", args, err, out)
			}
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("in namespaces of its own:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// box is a machine below a root of its own, with the programs to install.
type box struct {
	root, bin string
	paths     config.Paths
}

func newBox(t *testing.T, settings string) box {
	t.Helper()
	root, bin := t.TempDir(), t.TempDir()
	defaults := config.Default(root)
	b := box{root, bin, defaults.Paths()}
	for _, name := range append([]string{"k3s"}, programs...) {
		if err := os.Symlink(os.Args[0], filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, b.paths.Hosts(), "127.0.0.1 localhost\n")
	if settings != "" {
		write(t, b.paths.ConfigFile(), settings)
	}
	t.Cleanup(func() { b.run(t, "down") })
	return b
}

func (b box) run(t *testing.T, args ...string) result {
	t.Helper()
	return runArgs(t, "", os.Environ(), append(args, "--root", b.root)...)
}

func (b box) up(t *testing.T, more ...string) result {
	t.Helper()
	return b.run(t, append([]string{"up", "--from", b.bin}, more...)...)
}

func (b box) pid(t *testing.T, name string) int {
	t.Helper()
	fields := strings.FieldsFunc(read(t, b.paths.Run(name+".pid")), func(r rune) bool { return r < '0' || r > '9' })
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (b box) pids(t *testing.T) [3]int {
	t.Helper()
	return [3]int{b.pid(t, "agent"), b.pid(t, "k3s"), b.pid(t, "gateway")}
}

func want(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, part := range parts {
		if !strings.Contains(r.out+r.err, part) {
			t.Errorf("printed\n%s%swithout %q", r.out, r.err, part)
		}
	}
}

func TestUpPrintsALinkAndDownLeavesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "")
	want(t, b.up(t, "--extra", "kubelet-arg=fail-cgroupv1=false"), 0,
		"engine", "waiting for the node box", "ready, v1.36.2+k3s1",
		"log in:       https://localhost:8443/setup?token=once   (works once, for an hour)", "fingerprint:  SHA256:ab12")
	if text := read(t, b.paths.ConfigFile()); !strings.Contains(text, "- fail-cgroupv1=false") {
		t.Errorf("settings:\n%s", text)
	}
	first := b.pids(t)

	want(t, b.up(t), 0, "hks is up") // nothing changed
	if now := b.pids(t); now != first {
		t.Errorf("a second run restarted something: %v, before %v", now, first)
	}
	want(t, b.up(t, "--extra", "debug=true"), exitFailed, "k3s.extra", "is kept")

	if err := os.Remove(filepath.Join(b.bin, "hks-agent")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.bin, "hks-agent"), read(t, os.Args[0])+"a new build")
	want(t, b.up(t), 0)
	if now := b.pids(t); now[0] == first[0] || now[1] != first[1] || now[2] != first[2] {
		t.Errorf("a new agent: pids %v, before %v; want the agent restarted and the others not", now, first)
	}

	if err := syscall.Kill(b.pid(t, "agent"), syscall.SIGKILL); err != nil { // down needs no agent
		t.Fatal(err)
	}
	last := b.pids(t)
	for range 2 {
		want(t, b.run(t, "down"), 0, "hks is down")
	}
	for _, pid := range last {
		if data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil && len(data) > 0 {
			t.Errorf("process %d is still there: %q", pid, data)
		}
	}
	for _, path := range []string{b.paths.Run(), b.paths.Versions(), b.paths.Bin("hks"), b.paths.Bin("k3s"), b.paths.State("journal.jsonl")} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
	if !exists(b.paths.ConfigFile()) {
		t.Error("down removed the settings")
	}
	want(t, b.up(t), 0, "log in")
	want(t, b.run(t, "purge", "--yes"), 0, "are gone")
	for _, path := range []string{b.paths.ConfigFile(), b.paths.State(), b.paths.Logs(), b.paths.K3sData()} {
		if exists(path) {
			t.Errorf("%s is still there", path)
		}
	}
	if got := read(t, b.paths.Hosts()); got != "127.0.0.1 localhost\n" {
		t.Errorf("hosts = %q", got)
	}
}

func TestUpPrintsTheAddressOnceThereIsAnOwner(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "domain: owned.example\napi: {listen: ':9443', hosts: [box.example]}\n")
	r := b.up(t)
	want(t, r, 0, "open:         https://box.example:9443", "SHA256:ab12")
	if strings.Contains(r.out, "token") {
		t.Errorf("printed %s", r.out)
	}
}

func TestUpSaysWhatItWaitsForWhenTheTimeIsOver(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "domain: slow.example\n")
	want(t, b.up(t, "--timeout", "15s"), exitFailed, "not healthy after 15s", "engine (waiting for the node box)", "fix: read ")
	b.pid(t, "agent") // still there to be looked at
}

func TestUpShowsTheLastWordsOfAnAgentThatCannotRun(t *testing.T) {
	if !alone(t) {
		return
	}
	b := newBox(t, "domain: broken.example\n")
	want(t, b.up(t), exitFailed, "exit status 1", "the flux valve is stuck", "agent", "fix: ")
	if exists(b.paths.Run("agent.pid")) {
		t.Error("the agent is still tried")
	}
}

func TestUpRefusesWhenAnotherInstallerIsAtWork(t *testing.T) {
	m, err := newMachine(Config{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := m.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := m.lock(); err == nil || !strings.Contains(err.Error(), "another hks-installer") {
		t.Errorf("error = %v", err)
	}
}
