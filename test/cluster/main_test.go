// Package cluster proves the scenarios on a running appliance: the real
// engine, the real agent and gateway, the real command. Run it through
// `make cluster`, which puts it into a sandbox of its own.
package cluster

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hks.dev/hks/test/images"
	"hks.dev/hks/test/pebble"
)

const (
	password  = "correct horse battery staple"
	workspace = "dev-workspace"
)

// appliance is what the tests share: one machine, brought up once.
var appliance struct {
	bin         string // folder of the commands
	work        string // scratch folder
	setupLink   string // as printed
	url         string // of the API
	fingerprint string
	authority   *pebble.Authority // of the certificates of custom domains
	settings    string            // config.yaml
	leaving     sync.WaitGroup    // apps of earlier tests that are being deleted
}

func TestMain(m *testing.M) {
	appliance.bin = os.Getenv("HKS_BIN")
	if appliance.bin == "" {
		fmt.Println("SKIP: the cluster tests need the sandbox and the built commands; run them with `make cluster`")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 68*time.Minute)
	defer cancel()
	var err error
	if appliance.work, err = os.MkdirTemp("", "hks-cluster"); err != nil {
		fmt.Println("FAIL:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(appliance.work) }()
	if err := os.Setenv("HKS_CONFIG_DIR", filepath.Join(appliance.work, "config")); err != nil {
		fmt.Println("FAIL:", err)
		return 1
	}
	ofAuthority, err := startAuthority(ctx)
	if err != nil {
		fmt.Println("FAIL:", err)
		return 1
	}
	defer func() { _ = appliance.authority.Stop() }() // the sandbox ends it in any case
	appliance.settings = settings + ofAuthority
	if err := bringUp(ctx); err != nil {
		fmt.Println("FAIL: bringing the appliance up:", err)
		keepLogs(ctx)
		return 1
	}
	if err := loadImages(ctx); err != nil {
		fmt.Println("FAIL: loading images:", err)
		keepLogs(ctx)
		return 1
	}
	if code = m.Run(); code != 0 {
		keepLogs(ctx)
	}
	appliance.leaving.Wait()
	down, cancelDown := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancelDown()
	if out, err := installer(down, "down"); err != nil {
		fmt.Printf("FAIL: taking the appliance down: %v\n%s\n", err, out)
		return 1
	}
	return code
}

var (
	linkPattern        = regexp.MustCompile(`https://\S+/setup\?token=\S+`)
	fingerprintPattern = regexp.MustCompile(`SHA256:[0-9a-fA-F:]+`)
)

// settings make a release that never gets ready fail sooner than by default.
// Builds get the machine's certificates: its network may sign TLS anew.
const settings = "deploy:\n  deadline: 30s\nbuild:\n  ca: /etc/ssl/certs/ca-certificates.crt\n"

// bringUp runs what `make up` runs and reads the link it prints.
func bringUp(ctx context.Context) error {
	if err := os.MkdirAll("/etc/hks", 0o755); err != nil {
		return err
	}
	network, err := secondNetwork(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile("/etc/hks/config.yaml", []byte(appliance.settings+network), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks-installer"), "up", "--root", "/", "--from", appliance.bin)
	cmd.Stderr = os.Stdout
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var printed strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println("  up:", lines.Text())
		printed.WriteString(lines.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	appliance.fingerprint = fingerprintPattern.FindString(printed.String())
	if link := linkPattern.FindString(printed.String()); link != "" {
		appliance.setupLink = link
		appliance.url = link[:strings.Index(link, "/setup")]
		return nil
	}
	return fmt.Errorf("no login link in what it printed:\n%s", printed.String())
}

func installer(ctx context.Context, verb string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks-installer"), append([]string{verb, "--root", "/"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// variants of the sample app; each becomes the image page:TAG.
var variants = map[string][]string{
	"1": {"VERSION=1"}, "2": {"VERSION=2"},
	"exits": {"VERSION=3", "FAIL=exit"}, "deaf": {"VERSION=4", "FAIL=deaf"}, "sick": {"VERSION=5", "FAIL=sick"},
}

func loadImages(ctx context.Context) error {
	for tag, env := range variants {
		archive, err := images.Write(ctx, appliance.work, images.Image{
			Name: "page:" + tag, Package: "hks.dev/hks/test/samples/page", Env: env,
		})
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "image", "load", archive)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("hks image load: %w\n%s", err, out)
		}
	}
	return nil
}

// keepLogs copies the appliance's logs to the artefacts and prints their ends.
func keepLogs(ctx context.Context) {
	folder := os.Getenv("HKS_ARTEFACTS")
	if folder == "" {
		folder = filepath.Join(os.TempDir(), "hks-artefacts")
	}
	target := filepath.Join(folder, "logs")
	_ = os.RemoveAll(target)
	if err := os.CopyFS(target, os.DirFS("/var/log/hks")); err != nil {
		fmt.Println("keeping logs:", err)
	}
	for _, name := range []string{"agent.log", "gateway.log", "k3s.log"} {
		if out, err := exec.CommandContext(ctx, "tail", "-n", "60", filepath.Join("/var/log/hks", name)).Output(); err == nil {
			fmt.Printf("--- the end of %s\n%s", name, out)
		}
	}
}
