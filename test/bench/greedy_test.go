package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// latencyBeside is what an app's p99 may be beside a build that takes all it
// can get, against a quiet machine.
const latencyBeside = 2.0

// diskSize is the disk of the appliance in this benchmark, in bytes: one that
// a build can fill.
const diskSize = 5 << 30

// greedy are the recipes of builds that never have enough.
var greedy = map[string]string{
	"memory": `FROM registry.hks.internal/hks/node:24
RUN while true; do node -e "const all=[];for(;;)all.push(Buffer.alloc(16<<20,1))" || true; done
`,
	"disk": `FROM registry.hks.internal/hks/node:24
RUN while true; do cat /dev/zero > /tmp/filler || sleep 2; done
`,
}

// BenchmarkGreedyBuild looks at an app, through the gateway, beside a build that
// eats all memory, and beside one that fills the disk, against a quiet machine,
// in turns. The agent must answer all the while.
func BenchmarkGreedyBuild(b *testing.B) {
	if os.Getenv("HKS_BIN") == "" {
		b.Skip("needs the sandbox and the built commands: run it by make bench")
	}
	smallDisk(b, "/var/lib/hks")
	a := bringUp(b)
	a.hks(b, "deploy", "--name", "page", "--image", "page:1", "--port", "8080", "--health", "/healthz")
	for _, what := range []string{"memory", "disk"} {
		b.Run(what, func(b *testing.B) { a.benchGreedy(b, what) })
	}
}

// smallDisk mounts a disk of diskSize, so that the machine's own is not filled.
func smallDisk(b *testing.B, folder string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "disk")
	run := func(name string, args ...string) {
		b.Helper()
		if out, err := exec.CommandContext(context.WithoutCancel(b.Context()), name, args...).CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(file, nil, 0o600), os.Truncate(file, diskSize)); err != nil {
		b.Fatal(err)
	}
	run("mkfs.ext4", "-q", "-F", "-m", "0", file)
	run("mount", "-o", "loop", file, folder)
	b.Cleanup(func() { run("umount", "--lazy", folder) })
}

func (a appliance) benchGreedy(b *testing.B, what string) {
	folder := b.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(greedy[what]), 0o644); err != nil {
		b.Fatal(err)
	}
	to := target{address: "127.0.0.1:80", host: "page-staging.localhost", any: true}
	visitors := paced{rate: 100, workers: 8}
	const turns, turn = 4, 5 * time.Second
	for b.Loop() {
		var quiet, beside result
		visitors.run(b, to, turn) // warm
		for range turns {
			quiet.add(visitors.run(b, to, turn))
			stop := a.eats(b, folder, what)
			beside.add(visitors.run(b, to, turn))
			answered := timed(func() { a.hks(b, "app", "list") })
			b.Logf("%-16s the agent answers in %s meanwhile", what, answered.Round(time.Millisecond))
			stop()
		}
		ratio := float64(beside.p(99)) / float64(quiet.p(99))
		report(b, what, fmt.Sprintf("p50 %s, p99 %s beside the build against %s, %s without, p99 %.2fx", beside.p(50), beside.p(99), quiet.p(50), quiet.p(99), ratio),
			fmt.Sprintf("%.1fx", latencyBeside), ratio <= latencyBeside)
		b.ReportMetric(ratio, "x-quiet-p99")
	}
	a.hks(b, "deploy", "--name", "page", "--image", "page:2") // and it goes on working
}

// eats begins a build and waits until it really takes what it is made for. The
// function it returns cancels it and waits for its end.
func (a appliance) eats(b *testing.B, folder, what string) (stop func()) {
	b.Helper()
	var build agent.Build
	if err := json.Unmarshal([]byte(a.hks(b, "deploy", "--source", folder, "--name", "greedy", "--no-wait", "--json")), &build); err != nil {
		b.Fatal(err)
	}
	id := fmt.Sprint(build.ID)
	a.until(b, "the build eats "+what, func() bool {
		if out := a.hks(b, "build", "show", id, "--json"); strings.Contains(out, `"failed"`) {
			b.Fatalf("it failed: %s", out)
		}
		switch what {
		case "memory":
			return exec.CommandContext(b.Context(), "pgrep", "-f", "Buffer.alloc").Run() == nil
		default:
			var fs syscall.Statfs_t
			return syscall.Statfs("/var/lib/hks", &fs) == nil && int64(fs.Bavail)*fs.Bsize < diskSize/50
		}
	})
	return func() {
		a.hks(b, "build", "cancel", id)
		a.until(b, "the build ends", func() bool {
			out := a.hks(b, "build", "show", id, "--json")
			return strings.Contains(out, `"cancelled"`) || strings.Contains(out, `"failed"`)
		})
	}
}

// until waits for a condition of the machine.
func (a appliance) until(b *testing.B, what string, is func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			b.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}
