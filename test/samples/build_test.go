package samples

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The environment that the tests need; `make samples` sets it.
const (
	envLayouts   = "HKS_IMAGES"    // folder with the layouts that `make images` keeps
	envBuildkitd = "HKS_BUILDKITD" // a build daemon; default: built from packaging/images
)

// builder builds with a daemon that is started for each build but keeps its cache.
type builder struct {
	solve, buildkitd, layouts, root string
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	b := &builder{layouts: os.Getenv(envLayouts), buildkitd: os.Getenv(envBuildkitd), root: t.TempDir()}
	if b.layouts == "" {
		t.Skip("skipped: " + envLayouts + " does not name the folder with hks's images; run make samples")
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: a build daemon needs root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		t.Skip("skipped: runc is not installed")
	}
	b.solve = filepath.Join(b.root, "solve")
	programs := map[string]string{b.solve: "./solve"}
	if b.buildkitd == "" {
		b.buildkitd = filepath.Join(b.root, "buildkitd")
		programs[b.buildkitd] = "github.com/moby/buildkit/cmd/buildkitd"
	}
	for target, pkg := range programs {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", target, pkg)
		cmd.Dir = "../../packaging/images"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
	}
	return b
}

// build returns the build's output; the archive is optional.
func (b *builder) build(t *testing.T, folder, dockerfile, target, archive string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	args := []string{
		"--root", filepath.Join(b.root, "state"), "--buildkitd", b.buildkitd, "--layouts", b.layouts,
		"--context", folder, "--dockerfile", dockerfile, "--target", target,
	}
	if ca := certificates(); ca != "" {
		args = append(args, "--ca", ca)
	}
	if archive != "" {
		args = append(args, "--archive", archive)
	}
	cmd := exec.CommandContext(ctx, b.solve, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it stops the daemon
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// certificates are those the machine trusts.
func certificates() string {
	for _, path := range []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	return ""
}

// built is how long the build itself took.
func built(t *testing.T, out string) time.Duration {
	t.Helper()
	_, after, ok := strings.Cut(out, "built in ")
	line, _, _ := strings.Cut(after, "\n")
	took, err := time.ParseDuration(line)
	if !ok || err != nil {
		t.Fatalf("no time in the output: %s", out)
	}
	return took
}
