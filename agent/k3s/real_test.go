package k3s

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent/process"
)

// TestRealEngine runs a real k3s, or the stand-in, through its life. It
// changes the machine it runs on, so it wants a sandbox and says so:
//
//	go test -c -o /tmp/k3s.test ./agent/k3s
//	go run ./test/sandbox -- env HKS_TEST_K3S=bin/k3s /tmp/k3s.test -test.run RealEngine -test.v
func TestRealEngine(t *testing.T) {
	binary := os.Getenv("HKS_TEST_K3S")
	if binary == "" {
		t.Skip("HKS_TEST_K3S names no k3s binary")
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Binary: binary, DataDir: "/var/lib/rancher/k3s", ConfigFile: "/etc/rancher/k3s/config.yaml",
		RegistriesFile: "/etc/rancher/k3s/registries.yaml", Kubeconfig: "/etc/rancher/k3s/k3s.yaml",
		RevisionFile: "/var/lib/hks/k3s.revision", StartTimeout: 5 * time.Minute, Environ: os.Environ(), LogPlace: "/var/log/hks/k3s.log",
	}
	began := time.Now()
	say := func(format string, args ...any) {
		t.Helper()
		t.Logf("%6s  "+format, append([]any{time.Since(began).Round(100 * time.Millisecond)}, args...)...)
	}
	agentOf := func() (*Engine, *process.Runner) {
		t.Helper()
		c := cfg
		argv, env := c.Command()
		runner, err := process.New(process.Config{
			Name: "k3s", Command: argv, Env: env, PIDFile: "/run/hks/k3s.pid", Log: process.Log{Path: "/var/log/hks/k3s.log"}, StopTimeout: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Runner, c.Tail = runner, runner.Tail
		c.OnChange = func(h Health) { say("%s %s", h.State, h.Message) }
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return e, runner
	}
	pid := func(r *process.Runner) int {
		state, err := r.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.PID
	}
	cleaner := newCleaner(t, cfg.DataDir)
	cleaner.cfg.ConfigDir = "/etc/rancher/k3s"
	left := func() []string {
		items, err := cleaner.Leftovers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		say("%s", what)
	}

	first, runner := agentOf()
	must("started", first.Start(t.Context()))
	if server, err := first.ServerToken(); err != nil || !strings.HasPrefix(server, "K10") {
		t.Errorf("server token: %v", err)
	}
	if _, err := first.NodeToken(); err != nil {
		t.Errorf("node token: %v", err)
	}
	if _, err := first.CreateJoinToken(t.Context(), 10*time.Minute); err != nil {
		t.Errorf("join token: %v", err)
	}
	was := pid(runner)
	first.Detach()
	must("left alone", runner.Detach(t.Context()))

	second, runner := agentOf()
	must("adopted", second.Start(t.Context()))
	if now := pid(runner); now != was {
		t.Errorf("pid = %d, want the adopted %d", now, was)
	}
	must("killed", syscall.Kill(was, syscall.SIGKILL))
	b := &bench{Engine: second}
	b.await(t, StateAway)
	waiting := time.After(3 * time.Minute)
	for h, changed := second.observe(); h.State != StateReady; h, changed = second.observe() {
		select {
		case <-waiting:
			t.Fatalf("it does not come back: %+v", h)
		case <-changed:
		}
	}
	if now := pid(runner); now == was || now == 0 {
		t.Errorf("pid = %d, was %d", now, was)
	}
	deadline := time.After(2 * time.Minute) // until the packaged pods run
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !strings.Contains(strings.Join(left(), "\n"), "interface cni0") {
		select {
		case <-deadline:
			t.Fatalf("no pod ever ran: %q", left())
		case <-tick.C:
		}
	}
	must("stopped", second.Stop(t.Context()))
	if items := left(); len(items) < 5 {
		t.Errorf("left by a stop: %q; a stop must not end containers", items)
	} else {
		say("left: %d, such as %q", len(items), items[:5])
	}
	for range 2 {
		must("cleaned", cleaner.Cleanup(t.Context()))
		if items := left(); len(items) > 0 {
			t.Errorf("left after cleaning: %q", items)
		}
		for _, dir := range []string{runFolder, sharedFolder, "/run/nri", netnsFolder, cniFolder + "/results"} {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is still there: %v", dir, err)
			}
		}
	}
	must("started again on its data", second.Start(t.Context()))
	must("stopped", second.Stop(t.Context()))
	must("cleaned", cleaner.Cleanup(t.Context()))
	must("purged", cleaner.Purge(t.Context()))
	for _, dir := range []string{cfg.DataDir, "/etc/rancher/k3s", "/run/k3s", "/var/lib/kubelet/pods", "/var/log/pods"} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if items := left(); len(items) > 0 {
		t.Errorf("left after purging: %q", items)
	}
}
