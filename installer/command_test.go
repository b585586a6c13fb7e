package installer

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hks.dev/hks/agent/config"
)

type result struct {
	code     int
	out, err string
}

func runArgs(t *testing.T, in string, environ []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Run(t.Context(), Config{Args: args, In: strings.NewReader(in), Out: &out, Err: &errs, Environ: environ, Version: "v0.0.0-test"})
	return result{code, out.String(), errs.String()}
}

func TestCommandLine(t *testing.T) {
	empty := t.TempDir()
	bad := t.TempDir()
	settings := config.Default(bad)
	write(t, settings.Paths().ConfigFile(), "domian: x\n")
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"version":           {[]string{"--version"}, 0, "v0.0.0-test"},
		"help":              {[]string{"--help"}, 0, "purge"},
		"unknown flag":      {[]string{"up", "--nonsense"}, exitUsage, "nonsense"},
		"an argument":       {[]string{"down", "everything"}, exitUsage, "everything"},
		"bad extra":         {[]string{"up", "--root", empty, "--extra", "x"}, exitUsage, "KEY=VALUE"},
		"no programs":       {[]string{"up", "--root", empty, "--from", empty}, exitFailed, "make build"},
		"bad settings":      {[]string{"up", "--root", bad}, exitFailed, `did you mean "domain"`},
		"purge unconfirmed": {[]string{"purge", "--root", empty}, exitFailed, "--yes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "purge") && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			r := runArgs(t, "no\n", nil, tt.args...)
			if r.code != tt.code || !strings.Contains(r.out+r.err, tt.want) {
				t.Errorf("exit %d, want %d; printed %s%s, want %q", r.code, tt.code, r.out, r.err, tt.want)
			}
			if tt.code == exitFailed && (!strings.Contains(r.err, "error: ") || !strings.Contains(r.err, "fix: ")) {
				t.Errorf("printed %q", r.err)
			}
		})
	}
	if left := names(t, empty); left != "" {
		t.Errorf("changed: %s", left)
	}
}

// A91: what, why and how to mend it, exit code 3, and nothing changed.
func TestA91PreflightNamesAPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	root, bin := t.TempDir(), t.TempDir()
	settings := config.Default(root)
	text := "api:\n  listen: ':" + strconv.Itoa(port) + "'\n"
	write(t, settings.Paths().ConfigFile(), text)
	for _, name := range append([]string{"k3s"}, programs...) {
		write(t, filepath.Join(bin, name), "x")
	}
	r := runArgs(t, "", nil, "preflight", "--root", root, "--json")
	var findings []Finding
	if err := json.Unmarshal([]byte(r.out), &findings); err != nil || r.code != exitPreflight {
		t.Fatalf("exit %d, %v: %s", r.code, err, r.err)
	}
	found := false
	for _, f := range findings {
		if f.Check == "port "+strconv.Itoa(port) {
			found = f.Level == Block && strings.Contains(f.Message, "pid "+strconv.Itoa(os.Getpid())) && strings.Contains(f.Fix, "api.listen")
		}
	}
	if !found {
		t.Errorf("findings: %s", r.out)
	}
	r = runArgs(t, "", nil, "up", "--root", root, "--from", bin)
	if r.code != exitPreflight || !strings.Contains(r.err, "port "+strconv.Itoa(port)) || !strings.Contains(r.err, "nothing was changed") {
		t.Errorf("up: exit %d, %s", r.code, r.err)
	}
	if left := names(t, root); left != "etc" {
		t.Errorf("changed: %s", left)
	}
}

func TestProbePaths(t *testing.T) {
	m, err := newMachine(Config{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	check := func(want Level, when string) {
		t.Helper()
		f, err := m.probePaths(context.Background())
		if err != nil || f.Level != want {
			t.Errorf("%s: %+v, %v", when, f, err)
		}
	}
	check(OK, "empty")
	if err := relink(m.paths.Bin("k3s"), filepath.Join(m.paths.Versions(), "v1/k3s")); err != nil {
		t.Fatal(err)
	}
	check(OK, "ours")
	if err := relink(m.paths.Bin("k3s"), "/opt/k3s"); err != nil {
		t.Fatal(err)
	}
	check(Block, "another link")
	if err := os.Remove(m.paths.Bin("k3s")); err != nil {
		t.Fatal(err)
	}
	write(t, m.paths.Bin("k3s"), "a k3s of theirs")
	check(Block, "a file")
}

func TestAmount(t *testing.T) {
	for have, want := range map[int64]Level{1 << 30: Block, 3 << 30: Warning, 9 << 30: OK} {
		if f := amount("memory", have, 2<<30, 4<<30, "buy some"); f.Level != want || (want == OK) != (f.Fix == "") {
			t.Errorf("%d: %+v", have, f)
		}
	}
}

func TestDescends(t *testing.T) {
	if !descends(os.Getpid(), []int{os.Getppid()}) || descends(os.Getpid(), []int{1 << 22}) {
		t.Error("the chain of parents is not followed")
	}
}
