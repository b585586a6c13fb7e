package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
	"hks.dev/hks/test/apidouble/double"
)

const (
	password = "at least ten"
	speed    = 50 // times faster than life
	patience = 20 * time.Second
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hks": func() { os.Exit(run()) }})
}

// TestScript runs the real command against the real API over a made-up
// cluster. Each script gets an appliance of its own:
//
//	$URL, $FINGERPRINT, $SOCKET  how to reach it; HKS_URL is its socket at first
//	exits N hks ...              the exit code is N
//	until PATTERN hks ...        run until the output matches, then Ctrl-C;
//	                             the output is in out.txt, err.txt, code.txt
//	appliance stop|reinstall     stop it, or put another in its place
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "until": until, "appliance": changeAppliance,
		},
	})
}

// appliance is the double of one script.
type appliance struct {
	mu      sync.Mutex // guards current
	current *double.Double
}

func (a *appliance) start(listen string) error {
	d, err := double.Start(context.Background(), double.Config{Listen: listen, Password: password, Speed: speed, Seed: listen == "", Trouble: true})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = d
	return nil
}

func (a *appliance) stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return a.current.Stop(ctx)
}

func setup(env *testscript.Env) error {
	a := &appliance{}
	if err := a.start(""); err != nil {
		return err
	}
	env.Defer(func() { _ = a.stop() }) // the script's own outcome counts
	env.Values["appliance"] = a
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("HKS_CONFIG_DIR", filepath.Join(home, "hks"))
	env.Setenv("URL", a.current.URL)
	env.Setenv("FINGERPRINT", a.current.Fingerprint)
	env.Setenv("SOCKET", a.current.Socket)
	env.Setenv("HKS_URL", "unix://"+a.current.Socket)
	return settle(a.current.Socket)
}

// settle waits until the seeded applications have come to rest.
func settle(socket string) error {
	c, err := client.New(client.Config{URL: "unix://" + socket})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		apps, err := c.Apps(ctx)
		if err != nil {
			return err
		}
		atRest := len(apps) > 0
		for _, app := range apps {
			atRest = atRest && (app.Status == agent.AppRunning || app.Status == agent.AppError)
		}
		if atRest {
			return nil
		}
		<-tick.C
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	seen := make(chan struct{})
	out := &watchedBuffer{pattern: pattern, seen: sync.OnceFunc(func() { close(seen) })}
	errs := &watchedBuffer{pattern: pattern, seen: out.seen}
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "HKS_URL", "HKS_CONFIG_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	select {
	case <-seen:
		ts.Check(cmd.Process.Signal(os.Interrupt))
	case <-ctx.Done():
	}
	_ = cmd.Wait() // the exit code says it
	for name, text := range map[string]string{"out.txt": out.String(), "err.txt": errs.String(), "code.txt": strconv.Itoa(cmd.ProcessState.ExitCode()) + "\n"} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
	if ctx.Err() != nil {
		ts.Fatalf("%q was not seen; stdout:\n%sstderr:\n%s", args[0], out, errs)
	}
}

// watchedBuffer keeps what is written and tells when it matches.
type watchedBuffer struct {
	mu      sync.Mutex // guards text
	text    bytes.Buffer
	pattern *regexp.Regexp
	seen    func()
}

func (b *watchedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.text.Write(p)
	if b.pattern.Match(b.text.Bytes()) {
		b.seen()
	}
	return n, err
}

func (b *watchedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func changeAppliance(ts *testscript.TestScript, neg bool, args []string) {
	a, ok := ts.Value("appliance").(*appliance)
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: appliance stop|reinstall")
	}
	ts.Check(a.stop())
	switch args[0] {
	case "stop":
	case "reinstall": // the same address, another certificate
		ts.Check(a.start(strings.TrimPrefix(strings.Replace(a.current.URL, "localhost", "127.0.0.1", 1), "https://")))
		ts.Setenv("FINGERPRINT", a.current.Fingerprint)
		ts.Setenv("SOCKET", a.current.Socket)
	default:
		ts.Fatalf("appliance %s?", args[0])
	}
}
