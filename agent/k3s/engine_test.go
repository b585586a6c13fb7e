package k3s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/process"
)

// bench is an engine with a fake k3s in a folder of its own.
type bench struct {
	*Engine
	runner *process.Runner
	mu     sync.Mutex // guards seen
	seen   []Health
}

// place is what one agent after the other finds on the machine.
type place struct {
	dir  string
	port int
}

func newPlace(t *testing.T) place {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return place{dir: t.TempDir(), port: listener.Addr().(*net.TCPAddr).Port}
}

func (p place) config(fake string) Config {
	at := func(name string) string { return filepath.Join(p.dir, name) }
	return Config{
		Binary: os.Args[0], DataDir: at("data"), ConfigFile: at("etc/config.yaml"), RegistriesFile: at("etc/registries.yaml"),
		Kubeconfig: at("etc/k3s.yaml"), RevisionFile: at("state/k3s.revision"), NodeName: "box",
		Extra:        map[string]any{"fake": fake, "https-listen-port": p.port},
		StartTimeout: 30 * time.Second, Environ: os.Environ(), LogPlace: at("k3s.log"),
	}
}

func newBench(t *testing.T, p place, cfg Config) *bench {
	t.Helper()
	argv, env := cfg.Command()
	runner, err := process.New(process.Config{
		Name: "k3s", Command: argv, Env: env, PIDFile: filepath.Join(p.dir, "k3s.pid"),
		Log: process.Log{Path: filepath.Join(p.dir, "k3s.log")}, StopTimeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{runner: runner}
	cfg.Runner, cfg.Tail = runner, runner.Tail
	cfg.OnChange = func(h Health) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen = append(b.seen, h)
	}
	if b.Engine, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.pace.starting, b.pace.ready, b.pace.version = 10*time.Millisecond, 20*time.Millisecond, time.Minute
	b.freeSpace = func(string) (uint64, error) { return 1 << 40, nil }
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) pid(t *testing.T) int {
	t.Helper()
	state, err := b.runner.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.PID
}

// leave ends the agent, so to say: k3s goes on.
func (b *bench) leave(t *testing.T) {
	t.Helper()
	b.Detach()
	if err := b.runner.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) await(t *testing.T, want State) Health {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		health, changed := b.observe()
		if health.State == want {
			return health
		}
		select {
		case <-deadline:
			t.Fatalf("engine is %+v, want %s", health, want)
		case <-changed:
		}
	}
}

// wantError checks for an error that users understand.
func wantError(t *testing.T, err error, code agent.Code, parts ...string) *agent.Error {
	t.Helper()
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		t.Fatalf("error = %v, want one for users", err)
	}
	if e.Code != code || e.Fix == "" {
		t.Errorf("code = %s, fix = %q", e.Code, e.Fix)
	}
	for _, part := range parts {
		if !strings.Contains(e.Message+"\n"+e.Fix, part) {
			t.Errorf("%q, %q does not name %q", e.Message, e.Fix, part)
		}
	}
	return e
}

func TestEngineStartsAndStops(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("fine"))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := b.Health(); h.State != StateReady || h.Version != "v1.36.2+k3s1" || h.Since.IsZero() {
		t.Errorf("health = %+v", h)
	}
	b.mu.Lock()
	first := b.seen[0]
	b.mu.Unlock()
	if first.State != StateStarting || !strings.Contains(first.Message, "starting k3s v1.36.2+k3s1") {
		t.Errorf("first news = %+v", first)
	}
	pid := b.pid(t)
	if err := b.Start(t.Context()); err != nil || b.pid(t) != pid {
		t.Errorf("a second start: pid %d, want %d, %v", b.pid(t), pid, err)
	}
	for range 2 {
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if h := b.Health(); h.State != StateStopped || b.pid(t) != 0 {
		t.Errorf("after the stop: %+v, pid %d", h, b.pid(t))
	}
	for _, name := range []string{"etc/config.yaml", "state/k3s.revision"} {
		if info, err := os.Stat(filepath.Join(p.dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestEngineAdoptsK3sAfterTheAgentsRestart(t *testing.T) {
	p := newPlace(t)
	first := newBench(t, p, p.config("fine"))
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := first.pid(t)
	first.leave(t)
	second := newBench(t, p, p.config("fine"))
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := second.pid(t); now != pid {
		t.Errorf("pid = %d, want the adopted %d: k3s was restarted", now, pid)
	}
}

func TestEngineRestartsK3sForOtherSettings(t *testing.T) {
	changes := map[string]func(*Config, *bench){
		"settings":   func(c *Config, _ *bench) { c.TLSSANs = []string{"box.example.com"} },
		"registries": nil,
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			first := newBench(t, p, p.config("fine"))
			if err := first.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			pid := first.pid(t)
			if change == nil { // the same agent, after new registry settings
				registries := Registries{Mirrors: map[string]Mirror{agent.RegistryHost: {Endpoint: []string{"https://127.0.0.1:5443"}}}}
				for _, want := range []bool{true, false} {
					if changed, err := first.WriteRegistries(registries); err != nil || changed != want {
						t.Fatalf("changed = %t, want %t, %v", changed, want, err)
					}
				}
				if err := first.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if first.pid(t) == pid {
					t.Error("k3s goes on with the old registries")
				}
				return
			}
			first.leave(t)
			cfg := p.config("fine")
			change(&cfg, nil)
			second := newBench(t, p, cfg)
			if err := second.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if second.pid(t) == pid {
				t.Error("k3s goes on with the old settings")
			}
		})
	}
}

func TestEngineSaysWhatItWaitsFor(t *testing.T) {
	tests := map[string]string{
		"silent":     "waiting for k3s to write its credential",
		"unready":    "waiting for the Kubernetes API: it answers 500",
		"no-network": "waiting for the node box: cni plugin not initialized",
		"yesterday":  "waiting for the node box: it has not reported since k3s was started",
	}
	for fake, want := range tests {
		t.Run(fake, func(t *testing.T) {
			p := newPlace(t)
			cfg := p.config(fake)
			cfg.StartTimeout = time.Second
			b := newBench(t, p, cfg)
			e := wantError(t, b.Start(t.Context()), agent.CodeClusterAway, "within 1s", want, "a fake k3s begins", cfg.LogPlace)
			if lines, ok := e.Details["log"].([]string); !ok || len(lines) == 0 {
				t.Errorf("details = %v", e.Details)
			}
			if h := b.Health(); h.State != StateStarting || b.pid(t) == 0 {
				t.Errorf("health = %+v, pid %d: k3s is not given up", h, b.pid(t))
			}
		})
	}
}

func TestEngineStartEndsWithItsContext(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("unready"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { b.await(t, StateStarting); cancel() }()
	if err := b.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestEngineGivesUpWaitingForACrashingK3s(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("crash"))
	b.pace.crashes = 1
	wantError(t, b.Start(t.Context()), agent.CodeClusterAway, "ended 1 times", "flux valve is stuck")
}

func TestEngineSeesAKilledK3sComeBack(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("fine"))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := b.pid(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if h := b.await(t, StateAway); h.Message == "" {
		t.Errorf("health = %+v says nothing", h)
	}
	b.await(t, StateReady)
	if now := b.pid(t); now == pid || now == 0 {
		t.Errorf("pid = %d", now)
	}
}

func TestEngineRefusesAWrongBinary(t *testing.T) {
	dir := t.TempDir()
	link := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(os.Args[0], path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	noProgram := filepath.Join(dir, "no-program")
	if err := os.WriteFile(noProgram, []byte("hello"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ binary, want string }{
		"missing":        {filepath.Join(dir, "nowhere"), "is not there"},
		"a folder":       {dir, "is not an executable file"},
		"not executable": {text, "is not an executable file"},
		"no program":     {noProgram, "does not run on this machine"},
		"not k3s":        {link("something-else"), "is not k3s"},
		"hangs":          {link("k3s-that-hangs"), "did not tell its version within 1s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			cfg := p.config("fine")
			cfg.Binary = tt.binary
			b := newBench(t, p, cfg)
			if name == "hangs" {
				b.pace.version = time.Second
			}
			wantError(t, b.Start(t.Context()), agent.CodeInvalid, tt.want, tt.binary, "HKS_K3S_BINARY", "k3s.binary", "make k3s")
			if _, err := os.Stat(cfg.ConfigFile); !os.IsNotExist(err) {
				t.Errorf("half-made: %v", err)
			}
		})
	}
}

func TestEngineRefusesAPortInUse(t *testing.T) {
	p := newPlace(t)
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", p.port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	b := newBench(t, p, p.config("fine"))
	wantError(t, b.Start(t.Context()), agent.CodeConflict, fmt.Sprintf("port %d", p.port), fmt.Sprintf("pid %d", os.Getpid()))
	if b.pid(t) != 0 {
		t.Error("k3s was started all the same")
	}
}

func TestListenerOf(t *testing.T) {
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:192B 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n" +
		"   1: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n"
	if got := listenerOf(table, 6443); got != "222" {
		t.Errorf("got %q, want the socket that listens", got)
	}
	if got := listenerOf(table, 443); got != "" {
		t.Errorf("got %q for a port that is free", got)
	}
}

func TestEngineRefusesAFullDisk(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("fine"))
	b.freeSpace = func(path string) (uint64, error) {
		if path == b.cfg.DataDir {
			return 0, os.ErrNotExist // made later
		}
		return 1 << 30, nil
	}
	wantError(t, b.Start(t.Context()), agent.CodeNoSpace, "1024 MiB free", "2048 MiB", "df -h")
	if b.pid(t) != 0 {
		t.Error("k3s was started all the same")
	}
}

func TestTokens(t *testing.T) {
	p := newPlace(t)
	b := newBench(t, p, p.config("fine"))
	if _, err := b.ServerToken(); err == nil {
		t.Error("a token before there is a cluster")
	}
	dir := filepath.Join(p.dir, "data/server")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	server := "K10" + strings.Repeat("0f", 32) + "::server:secret"
	for name, text := range map[string]string{"token": server + "\n", "node-token": "only-a-secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if token, err := b.ServerToken(); err != nil || token != server {
		t.Errorf("token = %q, %v", token, err)
	}
	if token, err := b.NodeToken(); err == nil || strings.Contains(err.Error(), "only-a-secret") {
		t.Errorf("a token without the CA's hash was taken, or told: %q, %v", token, err)
	}
	if token, err := b.CreateJoinToken(t.Context(), 10*time.Minute); err != nil || !joinToken.MatchString(token) {
		t.Errorf("join token = %q, %v", token, err)
	}
	_, err := b.CreateJoinToken(t.Context(), 20*time.Minute) // the fake knows 10 only
	wantError(t, err, agent.CodeClusterAway, "unexpected arguments")
	if _, err := b.CreateJoinToken(t.Context(), 0); err == nil {
		t.Error("a token that never ends was made")
	}
}
