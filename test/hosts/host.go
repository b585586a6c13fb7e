package hosts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Config says what host to start.
type Config struct {
	Network *Network
	Base    string    // folder that Base returned
	Name    string    // its host name
	Number  int       // last part of its address, 2 to 254
	Share   string    // folder of the machine that is at /srv/share, read-only; may be empty
	Console io.Writer // what it prints while it boots; nil for nowhere
}

// Host is a machine of its own.
type Host struct {
	Address string

	cfg     Config
	scratch string
	groups  []string
	process *exec.Cmd
	ended   chan struct{} // closed when the container ended
}

// The bounds of a boot and of an end.
const (
	bootLimit = 5 * time.Minute
	stopLimit = 5 * time.Minute
)

// exitReboot is the container's exit code when the host asks for a reboot.
const exitReboot = 133

// Start makes a host and boots it.
func Start(ctx context.Context, cfg Config) (h *Host, err error) {
	h = &Host{cfg: cfg, Address: cfg.Network.prefix + strconv.Itoa(cfg.Number)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting the host %s: %w", cfg.Name, err), h.Close())
			h = nil
		}
	}()
	if h.scratch, err = os.MkdirTemp("/var/tmp", "hks-host-"+cfg.Name+"-"); err != nil {
		return h, err
	}
	if err := h.layOut(); err != nil {
		return h, err
	}
	return h, h.PowerOn(ctx)
}

// layOut makes the host's disk.
func (h *Host) layOut() error {
	for _, dir := range []string{"root", "disk", "work"} {
		if err := os.Mkdir(filepath.Join(h.scratch, dir), 0o755); err != nil {
			return err
		}
	}
	for _, folder := range plain {
		if err := os.MkdirAll(filepath.Join(h.scratch, "plain", folder), 0o755); err != nil {
			return err
		}
	}
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/hostname":    h.cfg.Name + "\n",
		"etc/hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n" + h.Address + "\t" + h.cfg.Name + "\n",
		"etc/resolv.conf": string(resolver),
		"etc/systemd/network/10-host0.network": "[Match]\nName=host0\n[Network]\nAddress=" + h.Address + "/24\nGateway=" + h.cfg.Network.Address +
			"\nLinkLocalAddressing=no\nLLDP=no\n",
		"var/log/journal/.keep": "",
	} {
		if err := h.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a file of a host that is off, or a folder of its disk that
// it does not look at meanwhile.
func (h *Host) WriteFile(name string, data []byte, mode os.FileMode) error {
	path := filepath.Join(h.scratch, "disk", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, mode)
}

// PowerOn boots a host that is off, and waits until it runs.
func (h *Host) PowerOn(ctx context.Context) error {
	groups, err := makeGroups(filepath.Base(h.scratch))
	h.groups = groups
	if err != nil {
		return err
	}
	text, err := json.Marshal(plan{
		Name: h.cfg.Name, Base: h.cfg.Base, Scratch: h.scratch, Bridge: h.cfg.Network.bridge, Groups: h.groups, Share: h.cfg.Share,
	})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), planVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Setpgid: true}
	if h.cfg.Console != nil {
		cmd.Stdout, cmd.Stderr = h.cfg.Console, h.cfg.Console
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.process, h.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // its exit code is asked for where it matters
		close(ended)
	}(h.ended)
	return h.waitRunning(ctx)
}

// waitRunning waits until systemd is through with the boot.
func (h *Host) waitRunning(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := "its first process"
	for {
		if pid := h.leader(); pid != 0 {
			out, err := h.enter(ctx, pid, nil, "systemctl", "is-system-running")
			last = strings.TrimSpace(out)
			if err == nil || last == "degraded" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the host %s to boot (%s): %w", h.cfg.Name, last, ctx.Err())
		case <-h.ended:
			return fmt.Errorf("the host %s ended while it booted: %s", h.cfg.Name, h.process.ProcessState)
		case <-tick.C:
		}
	}
}

// leader is the machine's number of the host's first process, 0 for none.
func (h *Host) leader() int {
	for _, group := range h.groups {
		for _, pid := range members(group) {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(status)) {
				if numbers := strings.Fields(line); len(numbers) == 3 && numbers[0] == "NSpid:" && numbers[2] == "1" {
					return pid
				}
			}
		}
	}
	return 0
}

// enter runs a command in the host's namespaces, but outside of its control groups.
func (h *Host) enter(ctx context.Context, leader int, in io.Reader, argv ...string) (string, error) {
	args := append([]string{"--target", strconv.Itoa(leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd=/", "--", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Stdin = in
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Run runs a command as a unit of the host, and returns what it prints. The
// command's own exit code is in an *exec.ExitError.
func (h *Host) Run(ctx context.Context, argv ...string) (string, error) {
	return h.RunIn(ctx, nil, argv...)
}

// RunIn is Run with something to read.
func (h *Host) RunIn(ctx context.Context, in io.Reader, argv ...string) (string, error) {
	leader := h.leader()
	if leader == 0 {
		return "", fmt.Errorf("the host %s is off", h.cfg.Name)
	}
	if in == nil {
		in = bytes.NewReader(nil)
	}
	return h.enter(ctx, leader, in, append([]string{"systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
		"--setenv=HOME=/root", "--setenv=LANG=C.UTF-8", "--setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--"}, argv...)...)
}

// Script runs lines of sh as Run does.
func (h *Host) Script(ctx context.Context, text string) (string, error) {
	return h.Run(ctx, "sh", "-euc", text)
}

// Reboot restarts the host in good order and waits until it runs again.
func (h *Host) Reboot(ctx context.Context) error {
	leader := h.leader()
	if leader == 0 {
		return fmt.Errorf("the host %s is off", h.cfg.Name)
	}
	if out, err := h.enter(ctx, leader, nil, "systemctl", "--no-block", "reboot"); err != nil {
		return fmt.Errorf("rebooting %s: %w: %s", h.cfg.Name, err, out)
	}
	if err := h.waitEnd(ctx); err != nil {
		return err
	}
	if code := h.process.ProcessState.ExitCode(); code != exitReboot {
		return fmt.Errorf("rebooting %s: its container ended with %d, want %d", h.cfg.Name, code, exitReboot)
	}
	return h.PowerOn(ctx)
}

// PowerCut ends all of the host at once.
func (h *Host) PowerCut(ctx context.Context) error {
	if leader := h.leader(); leader != 0 {
		if err := syscall.Kill(leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cutting the power of %s: %w", h.cfg.Name, err)
		}
	}
	return h.waitEnd(ctx)
}

// waitEnd waits for the end of the container and of all that was in it.
func (h *Host) waitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	select {
	case <-h.ended:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", h.cfg.Name, ctx.Err())
	}
	groups := h.groups
	h.groups = nil
	return removeGroups(groups)
}

// Close destroys the host with all that is on it.
func (h *Host) Close() error {
	var all error
	if h.process != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		all = h.PowerCut(ctx)
		h.process = nil
	} else if h.groups != nil {
		all = removeGroups(h.groups)
	}
	if h.scratch != "" {
		all = errors.Join(all, detachLoops(h.scratch), os.RemoveAll(h.scratch))
	}
	return all
}
