// Package live holds the stand-in against what hks expects of k3s, in a sandbox:
//
//	go run ./test/sandbox -- env HKS_K3S=/path/to/k3s go test -C test/k3s ./live
package live

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const dataDir = "/var/lib/rancher/k3s"

// A cluster is a running server.
type cluster struct {
	t      *testing.T
	k3s    string
	cmd    *exec.Cmd
	output *os.File
	ended  chan error
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	k3s := os.Getenv("HKS_K3S")
	if k3s == "" {
		t.Skip("HKS_K3S names no k3s")
	}
	if host, _ := os.Hostname(); host != "sandbox" {
		t.Skip("this writes to /etc and /var/lib: run it in the sandbox")
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "k3s.log"))
	must(t, err)
	c := &cluster{t: t, k3s: k3s, output: out}
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			data, _ := os.ReadFile(out.Name())
			t.Logf("k3s said:\n%s", tail(data, 60))
		}
	})
	return c
}

// start starts the server and waits for systemd's message, as a unit would.
func (c *cluster) start() {
	c.t.Helper()
	socket := filepath.Join(c.t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(c.t, err)
	defer conn.Close()
	cmd := exec.Command(c.k3s, "server")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	cmd.Stdout, cmd.Stderr = c.output, c.output
	begin := time.Now()
	must(c.t, cmd.Start())
	c.cmd, c.ended = cmd, make(chan error, 1)
	go func(ended chan error) { ended <- cmd.Wait() }(c.ended)
	must(c.t, conn.SetReadDeadline(time.Now().Add(3*time.Minute)))
	buf := make([]byte, 256)
	n, err := conn.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), "READY=1") {
		c.t.Fatalf("no READY: %q %v", buf[:n], err)
	}
	c.t.Logf("server ready after %s", time.Since(begin).Round(100*time.Millisecond))
	c.until(2*time.Minute, "the node is Ready", func() bool {
		out, err := c.try("get", "node", "sandbox", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		return err == nil && out == "True"
	})
	c.t.Logf("node Ready after %s", time.Since(begin).Round(100*time.Millisecond))
}

func (c *cluster) stop() {
	if c.cmd == nil {
		return
	}
	begin := time.Now()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
		c.t.Logf("stopped in %s", time.Since(begin).Round(100*time.Millisecond))
	case <-time.After(30 * time.Second):
		c.t.Errorf("k3s doesn't stop")
		_ = c.cmd.Process.Kill()
	}
	c.cmd = nil
}

func (c *cluster) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.k3s, append([]string{"kubectl"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}

func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	must(c.t, err)
	return out
}

func (c *cluster) apply(manifest string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "manifest.yaml")
	must(c.t, os.WriteFile(file, []byte(manifest), 0o600))
	c.kubectl("apply", "-f", file)
}

func (c *cluster) podsReady(namespace string, names ...string) {
	c.t.Helper()
	for _, name := range names {
		args := []string{"-n", namespace, "wait", "--for=condition=Ready", "--timeout=50s", "pod"}
		if strings.Contains(name, "=") {
			args = append(args, "-l", name)
		} else {
			args = append(args, name)
		}
		var last error
		for range 3 {
			if _, last = c.try(args...); last == nil {
				break
			}
			time.Sleep(time.Second)
		}
		if last != nil {
			events, _ := c.try("-n", namespace, "get", "events")
			c.t.Fatalf("%v\n%s", last, events)
		}
	}
}

func (c *cluster) until(limit time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(300 * time.Millisecond) {
		if ok() {
			return
		}
		select {
		case err := <-c.ended:
			c.cmd = nil
			c.t.Fatalf("k3s ended while waiting until %s: %v", what, err)
		default:
		}
		if time.Now().After(end) {
			c.t.Fatalf("not after %s: %s", limit, what)
		}
	}
}

func tail(data []byte, n int) string {
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
