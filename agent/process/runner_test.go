package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the child: HKS_TEST_CHILD says how it behaves.
func TestMain(m *testing.M) {
	switch os.Getenv("HKS_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "serve": // until it is asked to stop
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("serving")
		<-stop
		fmt.Println("stopping")
	case "stubborn": // does not stop when asked
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("serving")
		<-time.After(time.Hour) // not select{}, which the runtime takes for a deadlock
	case "crash":
		fmt.Fprintln(os.Stderr, "cannot open the flux valve")
		os.Exit(7)
	case "supervise": // starts a child and leaves without a word
		r, err := New(config(os.Getenv("HKS_TEST_DIR"), "serve"))
		if err == nil {
			err = r.Start(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func config(dir, mode string) Config {
	return Config{
		Name:        "child",
		Command:     []string{os.Args[0]},
		Env:         []string{"HKS_TEST_CHILD=" + mode, "HKS_TEST_DIR=" + dir},
		PIDFile:     filepath.Join(dir, "child.pid"),
		Log:         Log{Path: filepath.Join(dir, "child.log")},
		StopTimeout: 10 * time.Second,
	}
}

func newRunner(t *testing.T, cfg Config) *Runner {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.resume = 10 * time.Millisecond
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not seen in time: %s", what)
		case <-tick.C:
		}
	}
}

func logged(r *Runner, text string) func() bool {
	return func() bool { return strings.Contains(strings.Join(r.Tail(context.Background(), 50), "\n"), text) }
}

func alive(pid int) bool {
	st, err := readStat(pid)
	return err == nil && !st.dead()
}

func pidOf(t *testing.T, r *Runner) int {
	t.Helper()
	state, err := r.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.PID
}

func TestRunnerStartsAndStops(t *testing.T) {
	r := newRunner(t, config(t.TempDir(), "serve"))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("starting again: %v", err)
	}
	eventually(t, "the child serves", logged(r, "serving"))
	pid := pidOf(t, r)
	if st, err := readStat(pid); err != nil || st.session != pid {
		t.Errorf("the child has session %d, want its own, %d (%v)", st.session, pid, err)
	}
	for range 2 {
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !logged(r, "stopping")() {
		t.Errorf("the child was not asked to stop: %q", r.Tail(t.Context(), 5))
	}
	state, err := r.State(t.Context())
	if err != nil || state.Running || state.LastExit != "stopped" {
		t.Errorf("state after stop = %+v, %v", state, err)
	}
	if _, err := os.Stat(r.cfg.PIDFile); !os.IsNotExist(err) {
		t.Errorf("the pid file stays: %v", err)
	}
}

func TestRunnerKillsTheStubborn(t *testing.T) {
	cfg := config(t.TempDir(), "stubborn")
	cfg.StopTimeout = 50 * time.Millisecond
	cfg.StopGroup = true
	r := newRunner(t, cfg)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child serves", logged(r, "serving"))
	pid := pidOf(t, r)
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("the child is still there")
	}
}

func TestRunnerStartsAgainWithBackoff(t *testing.T) {
	r := newRunner(t, config(t.TempDir(), "crash"))
	began := time.Now()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three restarts", func() bool {
		state, err := r.State(t.Context())
		return err == nil && state.Restarts >= 3
	})
	if lived := time.Since(began); lived < 70*time.Millisecond { // 10 + 20 + 40
		t.Errorf("three restarts within %s: the pause does not grow", lived)
	}
	eventually(t, "an end", func() bool {
		state, err := r.State(t.Context())
		return err == nil && state.LastExit == "exit status 7"
	})
	if !logged(r, "flux valve")() {
		t.Errorf("the log lacks the child's last words: %q", r.Tail(t.Context(), 5))
	}
}

func TestRunnerStartsAKilledChildAgain(t *testing.T) {
	r := newRunner(t, config(t.TempDir(), "serve"))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child serves", logged(r, "serving"))
	pid := pidOf(t, r)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another child", func() bool { now := pidOf(t, r); return now != 0 && now != pid && alive(now) })
}

func TestRunnerCallsAroundEachStart(t *testing.T) {
	cfg := config(t.TempDir(), "serve")
	var mu sync.Mutex // guards what follows
	var calls []string
	note := func(call string) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, call)
	}
	cfg.Before = func() error { note("before"); return nil }
	cfg.Started = func(pid int) error { note(strconv.FormatBool(alive(pid))); return nil }
	r := newRunner(t, cfg)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pidOf(t, r), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "calls around two starts", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(calls, " ") == "before true before true"
	})
}

func TestRunnerEndsAChildThatIsRefused(t *testing.T) {
	cfg := config(t.TempDir(), "serve")
	pid := 0
	cfg.Started = func(p int) error { pid = p; return errors.New("no room for it") }
	r := newRunner(t, cfg)
	if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no room for it") {
		t.Errorf("error = %v", err)
	}
	if pid == 0 || alive(pid) {
		t.Errorf("process %d runs", pid)
	}
	cfg.Started, cfg.Before = nil, func() error { return errors.New("not now") }
	if err := newRunner(t, cfg).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("error = %v", err)
	}
}

func TestRunnerAdoptsAfterItsSupervisorDied(t *testing.T) {
	dir := t.TempDir()
	supervisor := exec.CommandContext(t.Context(), os.Args[0])
	supervisor.Env = []string{"HKS_TEST_CHILD=supervise", "HKS_TEST_DIR=" + dir}
	if out, err := supervisor.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := newRunner(t, config(dir, "serve"))
	rec, err := readRecord(r.cfg.PIDFile)
	if err != nil || rec == nil || !alive(rec.PID) {
		t.Fatalf("no child outlived its supervisor: %+v, %v", rec, err)
	}
	for range 2 { // watched, left, watched again
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if pid := pidOf(t, r); pid != rec.PID {
			t.Fatalf("pid = %d, want the adopted %d", pid, rec.PID)
		}
		if err := r.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !alive(rec.PID) {
			t.Fatal("leaving the child alone ended it")
		}
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(rec.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another child", func() bool { now := pidOf(t, r); return now != 0 && now != rec.PID && alive(now) })
}

func TestRunnerFindsAChildWithoutPIDFile(t *testing.T) {
	r := newRunner(t, config(t.TempDir(), "serve"))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child serves", logged(r, "serving"))
	pid := pidOf(t, r)
	if err := r.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.cfg.PIDFile, []byte(`{"pid":`), 0o600); err != nil { // cut short
		t.Fatal(err)
	}
	if found := pidOf(t, r); found != pid {
		t.Errorf("found %d, want %d", found, pid)
	}
}

func TestRunnerNeverTakesAStranger(t *testing.T) {
	stranger := exec.CommandContext(t.Context(), os.Args[0])
	stranger.Env = []string{"HKS_TEST_CHILD=stubborn"}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	st, err := readStat(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	for name, rec := range map[string]record{
		"another start":   {PID: stranger.Process.Pid, Start: st.start + 1, Boot: boot},
		"another boot":    {PID: stranger.Process.Pid, Start: st.start, Boot: "c0ffee"},
		"no such process": {PID: 1 << 22, Start: 1, Boot: boot},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRunner(t, config(t.TempDir(), "serve"))
			if err := writeRecord(r.cfg.PIDFile, rec); err != nil {
				t.Fatal(err)
			}
			if pid := pidOf(t, r); pid != 0 {
				t.Errorf("took process %d for its own", pid)
			}
			if err := r.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !alive(stranger.Process.Pid) {
				t.Fatal("stopped a stranger")
			}
		})
	}
}

func TestRunnerReplacesAnotherRevision(t *testing.T) {
	dir := t.TempDir()
	first := newRunner(t, config(dir, "serve"))
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, first)
	if err := first.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := config(dir, "serve")
	cfg.Revision = "2"
	second := newRunner(t, cfg)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := pidOf(t, second); now == pid || alive(pid) {
		t.Errorf("the child of the earlier revision, %d, still runs", pid)
	}
}

func TestRunnerSaysWhatCannotStart(t *testing.T) {
	cfg := config(t.TempDir(), "serve")
	cfg.Command = []string{"/nowhere/at/all"}
	r := newRunner(t, cfg)
	if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("error = %v", err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a runner without a name was made")
	}
}

func TestParseStat(t *testing.T) {
	tests := map[string]struct {
		line string
		want stat
		ok   bool
	}{
		"plain":        {"42 (k3s) S 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 12345 0 0", stat{'S', 1, 42, 12345}, true},
		"odd name":     {"42 (a) b) Z 7 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 99 0 0", stat{'Z', 7, 42, 99}, true},
		"cut short":    {"42 (k3s) S 1 42", stat{}, false},
		"no name":      {"42 k3s", stat{}, false},
		"not a number": {"42 (k3s) S x 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 12345 0 0", stat{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.line))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestLogIsBounded(t *testing.T) {
	l := Log{Path: filepath.Join(t.TempDir(), "logs", "x.log"), Limit: 100}
	f, err := l.open()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := f.WriteString("line " + strconv.Itoa(i) + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := l.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{l.Path, l.Path + ".1"} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > 120 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if got := strings.Join(l.Tail(3), ","); got != "line 27,line 28,line 29" {
		t.Errorf("last lines = %s", got)
	}
	if got := l.Tail(15); len(got) != 15 || got[0] != "line 15" {
		t.Errorf("last lines over two files = %q", got)
	}
	if got := (Log{Path: "/nowhere"}).Tail(3); got != nil {
		t.Errorf("lines of no log = %q", got)
	}
}
