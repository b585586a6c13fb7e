package buildkit

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/cgroup"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/registry"
)

// The tests below run a real BuildKit daemon. They change the machine they run
// on, so they want a sandbox and say so; they need runc and busybox-static:
//
//	go test -c -o bin/buildkit.test ./agent/buildkit
//	go run ./test/sandbox -- env HKS_TEST_BUILDKITD=$PWD/bin/hks-buildkitd $PWD/bin/buildkit.test -test.run Real -test.v
const binaryVariable = "HKS_TEST_BUILDKITD"

const (
	testState  = "/var/lib/hks"
	testRun    = "/run/hks"
	testMemory = 128 << 20
)

// bench is a builder with everything around it.
type bench struct {
	images *registry.Registry
	place  *cgroup.Place
	runner *process.Runner
	daemon *Daemon
	client *Client
}

// newBench makes a builder as the agent does. The registry is the one in t's
// folder; a second bench takes over the first one's daemon.
func newBench(t *testing.T, change func(*Config, *ClientConfig)) *bench {
	t.Helper()
	binary := os.Getenv(binaryVariable)
	if binary == "" {
		t.Skip(binaryVariable + " names no BuildKit daemon")
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b := &bench{}
	// Nobody answers there, at once; the sandbox's own name server is lost.
	err := os.WriteFile("/etc/resolv.conf", []byte("nameserver 127.0.0.1\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if b.images, err = registry.New(registry.Config{Dir: testState + "/registry", Listen: "127.0.0.1:5443", MinFree: 1, Log: log}); err != nil {
		t.Fatal(err)
	}
	if err := b.images.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.images.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	own := func() Registry {
		m := b.images.Mirror()
		return Registry{Address: strings.TrimPrefix(m.Endpoint, "https://"), CAFile: m.CAFile, Username: m.Username, Password: m.Password}
	}
	b.place, err = cgroup.New(cgroup.Config{
		Dir: testState + "/buildkit", Record: testRun + "/buildkit.groups", Limits: cgroup.Limits{CPUs: 1.5, Memory: testMemory}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Binary: binary, Dir: testState + "/buildkit", Socket: testRun + "/buildkit.sock",
		SettingsFile: testState + "/buildkitd.toml", RevisionFile: testRun + "/buildkitd.revision",
		Parallelism: 2, Cache: 2 << 30, Place: b.place, Registry: own, Environ: os.Environ(), LogPlace: "/var/log/hks/buildkitd.log", Logger: log,
	}
	clientCfg := ClientConfig{Socket: cfg.Socket, Registry: own, Network: NetworkHost, Memory: testMemory, Logger: log}
	if change != nil {
		change(&cfg, &clientCfg)
	}
	argv, env := cfg.Command()
	b.runner, err = process.New(process.Config{
		Name: "hks-buildkitd", Command: argv, Env: env, PIDFile: testRun + "/buildkitd.pid", Log: process.Log{Path: cfg.LogPlace},
		Before: b.place.Clear, Started: b.place.Admit, StopTimeout: 10 * time.Second, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Runner = b.runner
	if b.daemon, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	clientCfg.Use = b.daemon.Use
	if b.client, err = NewClient(clientCfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range b.runner.Tail(context.Background(), 40) {
				t.Log("buildkitd:", line)
			}
		}
	})
	return b
}

// end stops the daemon and proves that nothing of it is left.
func (b *bench) end(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	if err := errors.Join(b.daemon.Detach(ctx), b.runner.Stop(ctx), b.place.Remove(ctx)); err != nil {
		t.Error(err)
	}
	if left, err := b.place.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	for hierarchy, group := range groupsOf(t, os.Getpid()) {
		if _, err := os.Stat(filepath.Join(controllers, hierarchy, group, "hks-build")); err == nil {
			t.Errorf("a control group is left in %s", hierarchy)
		}
	}
}

// controllers is where the hierarchies of control groups are mounted.
const controllers = "/sys/fs/cgroup"

// groupsOf tells a process's control group in each hierarchy, by the name of
// the folder it is mounted at.
func groupsOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		name := strings.TrimPrefix(fields[1], "name=")
		if name == "" {
			name = "unified"
		}
		groups[name] = fields[2]
	}
	return groups
}

// source writes a project's files.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// base pushes an image with busybox in it, hks/box:1.
func (b *bench) base(t *testing.T) {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("busybox-static is not installed: %v", err)
	}
	dir := source(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\nENV PATH=/bin\n"})
	if err := os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Solve(t.Context(), Job{Context: dir, Push: "hks/box:1"}, b.log(t)); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) log(t *testing.T) func(Event) {
	began := time.Now()
	return func(e Event) {
		t.Logf("%7s %-7s #%d %s %s", time.Since(began).Round(time.Millisecond), e.Kind, e.Step, e.Name, e.Text)
	}
}

// collect keeps events, for looking while the build runs.
type collect struct {
	mu     sync.Mutex // guards events
	events []Event
	then   func(Event)
}

func (c *collect) on(e Event) {
	c.mu.Lock()
	c.events = append(c.events, e)
	c.mu.Unlock()
	if c.then != nil {
		c.then(e)
	}
}

func (c *collect) has(kind EventKind, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.events, func(e Event) bool {
		return e.Kind == kind && (strings.Contains(e.Name, text) || strings.Contains(e.Text, text))
	})
}

func eventually(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
}

// served asks the registry for an image, as a node would.
func (b *bench) served(t *testing.T, image string) v1.Image {
	t.Helper()
	m := b.images.Mirror()
	ref, err := name.ParseReference(strings.TrimPrefix(m.Endpoint, "https://") + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithTransport(trusting(t, m.CAFile)),
		remote.WithAuth(&authn.Basic{Username: m.Username, Password: m.Password}))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestRealBuild(t *testing.T) {
	b := newBench(t, nil)
	defer b.end(t)
	if part := b.daemon.Part(t.Context()); !part.Healthy || part.Message != "sleeps until the next build" {
		t.Errorf("before the first build: %+v", part)
	}
	b.base(t)
	if part := b.daemon.Part(t.Context()); !part.Healthy || part.Version == "" || part.Message != "" {
		t.Errorf("after it: %+v", part)
	}
	info, err := os.Stat(testRun + "/buildkit.sock")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is not closed to others: %v, %v", info.Mode(), err)
	}

	t.Run("push", b.testPush)
	t.Run("cache", b.testCache)
	t.Run("cache mounts", b.testCacheMounts)
	t.Run("secret", b.testSecret)
	t.Run("links", b.testLinks)
	t.Run("target", b.testTarget)
	t.Run("same image twice", b.testEpoch)
	t.Run("errors", b.testErrors)
	t.Run("no network", b.testNetwork)
	t.Run("foreign frontend", b.testSyntax)
	t.Run("cancel", b.testCancel)
	t.Run("memory", b.testMemory)
	t.Run("place", b.testPlace)
	t.Run("killed daemon", b.testKilled)
	t.Run("usage", b.testUsage)
	t.Run("registry away", b.testRegistryAway)
}

const ownBase = "FROM registry.hks.internal/hks/box:1\n"

func (b *bench) testPush(t *testing.T) {
	dir := source(t, map[string]string{
		"Dockerfile":    ownBase + "ARG WORD=none\nCOPY . /srv\nRUN echo $WORD > /srv/word && echo built with $WORD\nCMD [\"/bin/sh\"]\n",
		".dockerignore": "secret.txt\n", "kept.txt": "kept", "secret.txt": "not for images",
	})
	events := &collect{then: b.log(t)}
	result, err := b.client.Solve(t.Context(), Job{Context: dir, Args: map[string]string{"WORD": "care"}, Labels: map[string]string{"hks.dev/app": "web"}, Push: "web/app:1"}, events.on)
	if err != nil {
		t.Fatal(err)
	}
	image := b.served(t, "web/app:1")
	if digest, err := image.Digest(); err != nil || digest.String() != result.Digest {
		t.Errorf("the registry serves %s (%v), the build tells %s", digest, err, result.Digest)
	}
	files := unpack(t, image)
	if files["srv/kept.txt"] != "kept" || files["srv/word"] != "care\n" {
		t.Errorf("files of the image: %q", files)
	}
	if _, ok := files["srv/secret.txt"]; ok {
		t.Error(".dockerignore is not heeded")
	}
	config, err := image.ConfigFile()
	if err != nil || config.Config.Labels["hks.dev/app"] != "web" {
		t.Errorf("labels: %v, %v", config.Config.Labels, err)
	}
	if !events.has(StepStarted, "RUN echo care") || !events.has(StepLog, "built with care") || !events.has(StepDone, "RUN echo") {
		t.Error("events are missing")
	}
}

func (b *bench) testCache(t *testing.T) {
	dir := source(t, map[string]string{"Dockerfile": ownBase + "COPY a /a\nRUN echo once > /once\n", "a": "1"})
	for _, cached := range []bool{false, true} {
		events := &collect{}
		if _, err := b.client.Solve(t.Context(), Job{Key: "cache", Context: dir, Push: "web/cache:1"}, events.on); err != nil {
			t.Fatal(err)
		}
		if events.has(StepCached, "RUN echo once") != cached {
			t.Errorf("cached is not %v: %+v", cached, events.events)
		}
	}
}

// testCacheMounts has an app find what it left in a cache mount, and others not.
func (b *bench) testCacheMounts(t *testing.T) {
	build := func(app, script string, args map[string]string) error {
		recipe := ownBase + "ARG BUILDKIT_CACHE_MOUNT_NS\nRUN --mount=type=cache,id=packages,target=/cache " + script + "\n"
		_, err := b.client.Solve(t.Context(), Job{Key: app, Mounts: "app/" + app, Dockerfile: []byte(recipe), Args: args}, b.log(t))
		return err
	}
	if err := build("shop", "echo left > /cache/file", nil); err != nil {
		t.Fatal(err)
	}
	for app, args := range map[string]map[string]string{
		"blog": nil, "thief": {"BUILDKIT_CACHE_MOUNT_NS": "app/shop"}, "": nil,
	} {
		if err := build(app, "test ! -e /cache/file", args); err != nil {
			t.Errorf("%q sees the cache mount of another app: %v", app, err)
		}
	}
	if err := build("shop", "grep left /cache/file", nil); err != nil {
		t.Errorf("the cache mount of an app is not kept: %v", err)
	}
}

func (b *bench) testSecret(t *testing.T) {
	const canary = "canary-3f9a1c77"
	recipe := ownBase + "RUN --mount=type=secret,id=key test \"$(cat /run/secrets/key)\" = " + "$(echo Y2FuYXJ5LTNmOWExYzc3 | base64 -d)" + " && cat /run/secrets/key && echo ok\n"
	events := &collect{then: b.log(t)}
	_, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(recipe), Secrets: map[string][]byte{"key": []byte(canary)}, Push: "web/secret:1"}, events.on)
	if err != nil {
		t.Fatal(err)
	}
	image := b.served(t, "web/secret:1")
	raw, err := image.RawConfigFile()
	if err != nil || bytes.Contains(raw, []byte(canary)) {
		t.Errorf("the image's history holds the secret: %s, %v", raw, err)
	}
	for file, text := range unpack(t, image) {
		if strings.Contains(text, canary) {
			t.Errorf("%s holds the secret", file)
		}
	}
	if events.has(StepLog, canary) || !events.has(StepLog, "[secret key]") {
		t.Error("the step's output holds the secret")
	}
}

func (b *bench) testLinks(t *testing.T) {
	dir := source(t, map[string]string{"Dockerfile": ownBase + "COPY . /srv\n"})
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(outside+"/file", dir+"/link"), os.Symlink(outside, dir+"/folder")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Solve(t.Context(), Job{Context: dir, Push: "web/links:1"}, nil); err != nil {
		t.Fatal(err)
	}
	for file, text := range unpack(t, b.served(t, "web/links:1")) {
		if strings.Contains(text, "from outside") {
			t.Errorf("%s came from outside of the source", file)
		}
	}
	for _, path := range []string{"link", "folder/file"} {
		_, err := b.client.Solve(t.Context(), Job{Context: dir, Dockerfile: []byte(ownBase + "COPY " + path + " /srv/x\nRUN ! grep outside /srv/x\n")}, nil)
		if agent.CodeOf(err) != agent.CodeBuildFailed {
			t.Errorf("copying %s: %v", path, err)
		}
	}
	if err := os.Symlink(outside+"/file", dir+"/Otherfile"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"Otherfile", "../Dockerfile", "/etc/passwd"} {
		if _, err := b.client.Solve(t.Context(), Job{Context: dir, File: file}, nil); err == nil || strings.Contains(err.Error(), "from outside") {
			t.Errorf("a Dockerfile at %s: %v", file, err)
		}
	}
}

func (b *bench) testTarget(t *testing.T) {
	recipe := ownBase + "FROM registry.hks.internal/hks/box:1 AS test\nRUN echo 1 test run && false\n" + strings.Replace(ownBase, "\n", " AS out\n", 1) + "RUN true\n"
	if _, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(recipe), Target: "out"}, nil); err != nil {
		t.Errorf("without its tests: %v", err)
	}
	result, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(recipe), Target: "test"}, nil)
	if agent.CodeOf(err) != agent.CodeBuildFailed || result.Digest != "" {
		t.Errorf("a test that fails: %v", err)
	}
}

func (b *bench) testEpoch(t *testing.T) {
	dir := source(t, map[string]string{"Dockerfile": ownBase + "COPY . /srv\nRUN echo x > /x\n", "a": "1"})
	var digests []string
	for range 2 {
		result, err := b.client.Solve(t.Context(), Job{Context: dir, Push: "web/same:1", Epoch: time.Unix(1_700_000_000, 0), Fresh: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, result.Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds of the same: %v", digests)
	}
}

func (b *bench) testErrors(t *testing.T) {
	tests := map[string]struct {
		job     Job
		code    agent.Code
		message []string
		details map[string]any
	}{
		"step": {
			Job{Dockerfile: []byte(ownBase + "RUN echo the reason; exit 3\n")},
			agent.CodeBuildFailed, []string{"RUN echo the reason; exit 3", "exit code 3", "the reason"},
			map[string]any{"exitCode": uint32(3), "lines": []string{"the reason"}},
		},
		"syntax": {
			Job{Dockerfile: []byte(ownBase + "\nRUNN true\n")},
			agent.CodeBuildFailed, []string{"Dockerfile line 3", "unknown instruction: RUNN"}, map[string]any{"line": 3},
		},
		"missing file": {
			Job{Dockerfile: []byte(ownBase + "COPY nothing /x\n")},
			agent.CodeBuildFailed, []string{"Dockerfile line 2", "nothing", "is not in the source"}, map[string]any{"line": 2},
		},
		"missing Dockerfile": {
			Job{Context: t.TempDir()},
			agent.CodeBuildFailed, []string{"Dockerfile", "no such file"}, nil,
		},
		"missing stage": {
			Job{Dockerfile: []byte(ownBase), Target: "test"},
			agent.CodeBuildFailed, []string{"test", "could not be found"}, nil,
		},
		"missing own base image": {
			Job{Dockerfile: []byte("FROM registry.hks.internal/hks/nothing:1\n"), Carried: []string{"registry.hks.internal/hks/box:1"}},
			agent.CodeBuildFailed, []string{"registry.hks.internal/hks/nothing:1", "not found"}, map[string]any{"image": "registry.hks.internal/hks/nothing:1"},
		},
		"no way to a registry": {
			Job{Dockerfile: []byte("FROM node:24\n"), Carried: []string{"registry.hks.internal/hks/node:24"}},
			agent.CodeBuildFailed, []string{"docker.io/library/node:24", "can't be had"}, map[string]any{"carried": []string{"registry.hks.internal/hks/node:24"}},
		},
		"base image of a registry that refuses": {
			Job{Dockerfile: []byte("FROM 127.0.0.1:5999/x:1\n")},
			agent.CodeBuildFailed, []string{"127.0.0.1:5999/x:1", "connection refused"}, nil,
		},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			_, err := b.client.Solve(t.Context(), tt.job, b.log(t))
			shown, ok := errors.AsType[*agent.Error](err)
			if !ok || shown.Code != tt.code || shown.Fix == "" {
				t.Fatalf("error = %v (%+v)", err, shown)
			}
			t.Log(shown.Message, "|", shown.Fix)
			for _, part := range tt.message {
				if !strings.Contains(shown.Message, part) {
					t.Errorf("%q lacks %q", shown.Message, part)
				}
			}
			for key, value := range tt.details {
				if fmt.Sprint(shown.Details[key]) != fmt.Sprint(value) {
					t.Errorf("%s = %v, want %v", key, shown.Details[key], value)
				}
			}
		})
	}
}

func (b *bench) testNetwork(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	go func() { _ = http.Serve(listener, http.NotFoundHandler()) }() // ends with the listener
	recipe := ownBase + "RUN wget -O- http://127.0.0.1:" + port + "/ 2>&1 | grep 404\n"
	if _, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(recipe), Fresh: true}, nil); err != nil {
		t.Errorf("with the machine's network: %v", err)
	}
	cfg := b.client.cfg
	cfg.Network = NetworkNone
	without, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := without.Solve(t.Context(), Job{Dockerfile: []byte(recipe), Fresh: true}, nil); agent.CodeOf(err) != agent.CodeBuildFailed {
		t.Errorf("without a network: %v", err)
	}
	// Nobody asks for more than the settings give.
	_, err = without.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN --network=host true\n")}, nil)
	if err == nil || !strings.Contains(err.Error(), "network.host") {
		t.Errorf("a step that wants the machine's network: %v", err)
	}
	_, err = b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN --security=insecure true\n")}, nil)
	if err == nil || !strings.Contains(err.Error(), "security.insecure") {
		t.Errorf("a step that wants privileges: %v", err)
	}
}

func (b *bench) testSyntax(t *testing.T) {
	if _, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte("# syntax=docker/dockerfile:1\n" + ownBase + "RUN true\n")}, nil); err != nil {
		t.Error(err)
	}
	_, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase), Args: map[string]string{"BUILDKIT_SYNTAX": "evil/frontend"}}, nil)
	if err != nil {
		t.Error(err)
	}
}

func (b *bench) testCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := make(chan struct{})
	events := &collect{}
	events.then = func(e Event) {
		if e.Kind == StepLog && e.Text == "sleeping" {
			close(began)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := b.client.Solve(ctx, Job{Dockerfile: []byte(ownBase + "RUN echo sleeping && exec sleep 987654\n"), Fresh: true}, events.on)
		ended <- err
	}()
	select {
	case <-began:
	case <-time.After(time.Minute):
		t.Fatal("the step does not start")
	}
	await(t, "987654")
	at := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	took := time.Since(at)
	eventually(t, "the step's process has ended", 5*time.Second, func() bool { return !running(t, "987654") })
	t.Logf("Solve returned after %s, the process was gone after %s", took, time.Since(at))
	if took := time.Since(at); took > time.Second {
		t.Errorf("a cancelled build went on for %s", took)
	}
}

func (b *bench) testMemory(t *testing.T) {
	before := b.pid(t)
	// The last lines of what has none are all of it.
	_, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN exec tail /dev/zero\n"), Fresh: true}, b.log(t))
	if shown, ok := errors.AsType[*agent.Error](err); !ok || !strings.Contains(shown.Message, "more memory than builds may take (128 MiB)") {
		t.Fatalf("error = %v", err)
	}
	if after := b.pid(t); after != before {
		t.Errorf("the daemon was killed too: %d, %d", before, after)
	}
}

func (b *bench) pid(t *testing.T) int {
	t.Helper()
	state, err := b.runner.State(t.Context())
	if err != nil || !state.Running {
		t.Fatalf("the daemon does not run: %+v, %v", state, err)
	}
	return state.PID
}

// testPlace looks at where the daemon and a step really are.
func (b *bench) testPlace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := b.client.Solve(ctx, Job{Dockerfile: []byte(ownBase + "RUN echo sleeping && exec sleep 987655\n"), Fresh: true}, func(e Event) {
			if e.Kind == StepLog && e.Text == "sleeping" {
				close(began)
			}
		})
		ended <- err
	}()
	select {
	case <-began:
	case <-time.After(time.Minute):
		t.Fatal("the step does not start")
	}
	pid := await(t, "987655")
	daemon, step := groupsOf(t, b.pid(t)), groupsOf(t, pid)
	for hierarchy, group := range groupsOf(t, os.Getpid()) {
		own := filepath.Join(group, "hks-build")
		if daemon[hierarchy] != own+"/daemon" {
			t.Errorf("%s: the daemon is in %s, not in that of %s", hierarchy, daemon[hierarchy], own)
		}
		if !strings.HasPrefix(step[hierarchy], own+"/steps/") {
			t.Errorf("%s: the step is in %s, not below %s", hierarchy, step[hierarchy], own)
		}
		for file, want := range map[string]string{
			"cpu.cfs_quota_us": "150000", "cpu.shares": "64", "daemon/memory.limit_in_bytes": "536870912",
			"steps/memory.limit_in_bytes": strconv.Itoa(testMemory), "steps/pids.max": "4096",
		} {
			text, err := os.ReadFile(filepath.Join(controllers, hierarchy, own, file))
			if err == nil && strings.TrimSpace(string(text)) != want {
				t.Errorf("%s: %s is %s, want %s", hierarchy, file, text, want)
			}
		}
	}
	for title, p := range map[string]int{"daemon": b.pid(t), "step": pid} {
		if nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, p); err != nil || nice != 20-19 { // as the system call has it
			t.Errorf("the %s's priority: %d, %v", title, nice, err)
		}
	}
	cancel()
	<-ended
}

func (b *bench) testKilled(t *testing.T) {
	before := b.pid(t)
	events := &collect{}
	events.then = func(e Event) {
		if e.Kind == StepLog && e.Text == "sleeping" {
			if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN echo sleeping && exec sleep 987656\n"), Fresh: true}, events.on)
	if agent.CodeOf(err) != agent.CodeBuilderAway {
		t.Errorf("a build whose daemon was killed: %v", err)
	}
	if _, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN echo again\n"), Fresh: true}, b.log(t)); err != nil {
		t.Fatalf("after it: %v", err)
	}
	if after := b.pid(t); after == before {
		t.Error("it is the same daemon")
	}
	if running(t, "987656") {
		t.Error("a step outlived its daemon")
	}
}

func (b *bench) testUsage(t *testing.T) {
	before, err := b.client.DiskUsage(t.Context())
	if err != nil || before.Total == 0 || before.Reclaimable > before.Total {
		t.Fatalf("usage = %+v, %v", before, err)
	}
	if freed, err := b.client.Prune(t.Context(), false); err != nil || freed != 0 || before.Old != 0 {
		t.Errorf("of what was made a moment ago %d bytes are old, %d were freed: %v", before.Old, freed, err)
	}
	freed, err := b.client.Prune(t.Context(), true)
	if err != nil || freed == 0 {
		t.Fatalf("freed %d, %v", freed, err)
	}
	after, err := b.client.DiskUsage(t.Context())
	if err != nil || after.Total >= before.Total {
		t.Errorf("usage after = %+v, %v; before %+v", after, err, before)
	}
	if rest := before.Reclaimable - freed; rest < -1<<20 || rest > 1<<20 {
		t.Errorf("%d bytes were said to go, %d went", before.Reclaimable, freed)
	}
}

func (b *bench) testRegistryAway(t *testing.T) {
	if err := b.images.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for title, job := range map[string]Job{
		"pull": {Dockerfile: []byte("FROM registry.hks.internal/hks/other:1\n")},
		"push": {Dockerfile: []byte("FROM scratch\nCOPY Dockerfile /\n"), Context: source(t, map[string]string{"Dockerfile": ""}), Push: "web/away:1"},
	} {
		if _, err := b.client.Solve(t.Context(), job, nil); agent.CodeOf(err) != agent.CodeBuilderAway {
			t.Errorf("%s: %v", title, err)
		}
	}
}

// TestRealTakeOver has a second agent go on with the first one's daemon, and
// lets it rest.
func TestRealTakeOver(t *testing.T) {
	first := newBench(t, nil)
	defer first.end(t)
	release, err := first.daemon.Use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
	pid := first.pid(t)
	if err := first.daemon.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.images.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := newBench(t, func(c *Config, _ *ClientConfig) { c.IdleTimeout = 200 * time.Millisecond })
	if err := second.daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := second.runner.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.Running && state.PID != pid {
		t.Errorf("the daemon was restarted: %d, %d", pid, state.PID)
	}
	eventually(t, "the idle daemon is stopped", 20*time.Second, func() bool {
		state, err := second.runner.State(t.Context())
		return err == nil && !state.Running
	})
	if part := second.daemon.Part(t.Context()); !part.Healthy {
		t.Errorf("at rest: %+v", part)
	}
	release, err = second.daemon.Use(t.Context())
	if err != nil {
		t.Fatalf("waking it: %v", err)
	}
	release()
	third := newBenchOver(t, second, func(c *Config) { c.Parallelism = 1 })
	pid = second.pid(t)
	if err := second.daemon.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := third.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := second.pid(t); now == pid {
		t.Error("other settings did not restart it")
	}
	if err := third.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// newBenchOver is another agent's daemon over the same process, with other settings.
func newBenchOver(t *testing.T, b *bench, change func(*Config)) *Daemon {
	t.Helper()
	cfg := b.daemon.cfg
	change(&cfg)
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRealDown takes hks off the machine while a step runs whose daemon was
// just killed, as after a crash of everything.
func TestRealDown(t *testing.T) {
	b := newBench(t, nil)
	b.base(t)
	if err := b.daemon.Detach(t.Context()); err != nil { // so that nobody starts it again
		t.Fatal(err)
	}
	pid := b.pid(t)
	_, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte(ownBase + "RUN echo sleeping && exec sleep 987657\n"), Fresh: true}, func(e Event) {
		if e.Kind == StepLog && e.Text == "sleeping" {
			if err := errors.Join(b.daemon.Detach(t.Context()), syscall.Kill(pid, syscall.SIGKILL)); err != nil {
				t.Error(err)
			}
		}
	})
	if agent.CodeOf(err) != agent.CodeBuilderAway {
		t.Fatalf("error = %v", err)
	}
	await(t, "987657")
	left, err := b.place.Leftovers()
	if err != nil || !slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(l, "mount ") }) {
		t.Fatalf("nothing to clear up: %v, %v", left, err)
	}
	installer := filepath.Join(filepath.Dir(os.Getenv(binaryVariable)), "hks-installer")
	if out, err := exec.CommandContext(t.Context(), installer, "down", "--root", "/").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if running(t, "987657") {
		t.Error("the step runs")
	}
	b.end(t)
	if _, err := os.Stat(testState + "/buildkit"); err != nil {
		t.Errorf("the cache is gone: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), installer, "purge", "--yes", "--root", "/").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if entries, err := os.ReadDir(testState); err == nil && len(entries) > 0 {
		t.Errorf("left after a purge: %v", entries)
	}
}

func TestRealStartFails(t *testing.T) {
	b := newBench(t, func(c *Config, _ *ClientConfig) { c.Runc = "/nowhere/runc" })
	defer b.end(t)
	if _, err := b.client.Solve(t.Context(), Job{Dockerfile: []byte("FROM scratch\n")}, nil); agent.CodeOf(err) != agent.CodeBuilderAway {
		t.Errorf("without runc: %v", err)
	}
	if part := b.daemon.Part(t.Context()); part.Healthy || !strings.Contains(part.Message, "/nowhere/runc") {
		t.Errorf("part = %+v", part)
	}
}

func TestRealStartDies(t *testing.T) {
	b := newBench(t, func(c *Config, _ *ClientConfig) { c.Binary = "/bin/false" })
	defer b.end(t)
	_, err := b.daemon.Use(t.Context())
	if agent.CodeOf(err) != agent.CodeBuilderAway || !strings.Contains(err.Error(), "it ended (exit status 1)") {
		t.Errorf("error = %v", err)
	}
}

// running tells whether a process has an argument.
func running(t *testing.T, argument string) bool {
	t.Helper()
	return lookFor(t, argument) != 0
}

// await waits for a process that has an argument.
func await(t *testing.T, argument string) (pid int) {
	t.Helper()
	eventually(t, "a process with the argument "+argument, 20*time.Second, func() bool {
		pid = lookFor(t, argument)
		return pid != 0
	})
	return pid
}

func lookFor(t *testing.T, argument string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil && slices.Contains(strings.Split(string(text), "\x00"), argument) && bytes.HasPrefix(text, []byte("sleep")) {
			return pid
		}
	}
	return 0
}

// unpack reads the files of all layers.
func unpack(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(content); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if header.Size > 1<<20 {
				continue // busybox
			}
			text, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.TrimPrefix(header.Name, "./")] = string(text)
		}
		if err := content.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
