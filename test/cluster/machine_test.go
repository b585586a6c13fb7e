package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A second machine is a sandbox of its own on a bridge of this one.
const (
	bridge        = "machines"
	bridgeAddress = "10.98.0.1"
	otherAddress  = "10.98.0.2/24"
)

// secondNetwork makes the bridge, and returns the settings with which the
// cluster lives on it: its nodes must share a network.
func secondNetwork(ctx context.Context) (string, error) {
	if _, err := net.InterfaceByName(bridge); err == nil {
		return networkSettings() // an appliance was here before this one
	}
	for _, args := range [][]string{
		{"link", "add", bridge, "type", "bridge"}, {"address", "add", bridgeAddress + "/24", "dev", bridge}, {"link", "set", bridge, "up"},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return networkSettings()
}

// networkSettings put the cluster on the bridge; under the machine's other
// address it is reached as well.
func networkSettings() (string, error) {
	outward, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "", err
	}
	defer func() { _ = outward.Close() }()
	host, _, err := net.SplitHostPort(outward.LocalAddr().String())
	if err != nil {
		return "", err
	}
	// Kubelets measure each second, for tests in which time runs faster.
	return fmt.Sprintf("k3s:\n  extra:\n    node-ip: %s\n    tls-san: [%s]\n    kubelet-arg: [housekeeping-interval=1s]\n", bridgeAddress, host), nil
}

// machine is a second machine. Commands run on it one after the other, in one
// sandbox that lives as long as the test.
type machine struct {
	sandbox *exec.Cmd
	pid     string // of its first process, seen from here
}

// newMachine starts one that does nothing yet.
func newMachine(t *testing.T) *machine {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(appliance.bin, "sandbox"),
		"--bridge", bridge, "--address", otherAddress, "--hostname", "other", "--", "sleep", "1800")
	// A sandbox that is started elsewhere meanwhile takes what is named by no
	// process it sees for left over; this one's name is of a process in here.
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	m := &machine{sandbox: cmd}
	eventually(t, 20*time.Second, func() string {
		var children []byte
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid)) // one of them has the child
		if err != nil {
			return err.Error()
		}
		for _, file := range threads {
			data, err := os.ReadFile(file)
			if err != nil {
				return err.Error()
			}
			children = append(children, data...)
		}
		fields := strings.Fields(string(children))
		if len(fields) == 0 {
			return "the sandbox has no process yet"
		}
		m.pid = fields[0]
		if out, err := m.try(t, "hostname"); err != nil || strings.TrimSpace(out) != "other" {
			return fmt.Sprintf("it is not up: %s %v", out, err)
		}
		return ""
	})
	return m
}

// try runs a command on the machine.
func (m *machine) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 8*time.Minute)
	defer cancel()
	argv := append([]string{"--target", m.pid, "--mount", "--net", "--pid", "--uts", "--ipc", "--"}, args...)
	out, err := exec.CommandContext(ctx, "nsenter", argv...).CombinedOutput()
	return string(out), err
}

func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.try(t, args...)
	if err != nil {
		t.Fatalf("%s on the other machine: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
