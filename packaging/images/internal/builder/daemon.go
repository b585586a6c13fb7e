// Package builder runs a buildkitd of its own for as long as it is needed, and
// has it build folders into OCI layouts.
package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/log"
	"github.com/moby/buildkit/client"
)

// cgroupPrefix and this program's process id are the daemon's control group.
const cgroupPrefix = "hks-images-"

// Deadlines of a daemon's life.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 20 * time.Second
)

// Daemon is a running buildkitd. Its mounts and processes are in namespaces
// that end with it, also when this program is killed.
type Daemon struct {
	Client *client.Client

	cmd    *exec.Cmd
	exited chan error
	cgroup string
	socket string
}

// Start runs the program buildkitd with its state in root and waits until it
// answers. Steps use the machine's network.
func Start(ctx context.Context, program, root string) (*Daemon, error) {
	// The content store warns of each file system without fs-verity.
	if err := log.SetLevel("error"); err != nil {
		return nil, fmt.Errorf("setting the log level: %w", err)
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, fmt.Errorf("finding runc: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	// A socket's path is short; root may be long.
	run, err := os.MkdirTemp("", "hks-images-")
	if err != nil {
		return nil, fmt.Errorf("making the daemon's folder: %w", err)
	}
	d := &Daemon{
		cgroup: cgroupPrefix + strconv.Itoa(os.Getpid()),
		socket: filepath.Join(run, "buildkitd.sock"),
		exited: make(chan error, 1),
	}
	if err := sweep(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(run))
	}
	settings := filepath.Join(run, "buildkitd.toml")
	if err := errors.Join(os.MkdirAll(root, 0o700), os.WriteFile(settings, d.settings(root, runc), 0o600)); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the daemon's settings: %w", err), os.RemoveAll(run))
	}
	log, err := os.Create(filepath.Join(root, "buildkitd.log"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the daemon's log: %w", err), os.RemoveAll(run))
	}
	defer log.Close()

	d.cmd = exec.Command(self, program, "--config", settings)
	d.cmd.Args[0] = insideName
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting buildkitd: %w", err), os.RemoveAll(run))
	}
	go func() { d.exited <- d.cmd.Wait() }()
	if err := d.ready(ctx); err != nil {
		err = fmt.Errorf("waiting for buildkitd: %w; its log: %s", err, log.Name())
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

func (d *Daemon) settings(root, runc string) []byte {
	return fmt.Appendf(nil, `root = %q
[grpc]
  address = [ %q ]
[cdi]
  disabled = true
[worker.containerd]
  enabled = false
[worker.oci]
  enabled = true
  snapshotter = "overlayfs"
  binary = %q
  networkMode = "host"
  defaultCgroupParent = %q
  gc = false
`, root, "unix://"+d.socket, runc, d.cgroup)
}

func (d *Daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	connection, err := client.New(ctx, "unix://"+d.socket)
	if err != nil {
		return err
	}
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		if _, err = connection.Info(ctx); err == nil {
			d.Client = connection
			return nil
		}
		select {
		case <-every.C:
		case gone := <-d.exited:
			d.exited <- gone
			return errors.Join(fmt.Errorf("it ended: %w", gone), connection.Close())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err, connection.Close())
		}
	}
}

// Stop ends the daemon with everything it started and removes its control groups.
func (d *Daemon) Stop() error {
	var errs []error
	if d.Client != nil {
		errs = append(errs, d.Client.Close())
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		errs = append(errs, fmt.Errorf("stopping buildkitd: %w", err))
	}
	select {
	case <-d.exited:
	case <-time.After(stopWithin):
		// The first process of a pid namespace takes all others with it.
		if err := d.cmd.Process.Kill(); err != nil {
			errs = append(errs, fmt.Errorf("killing buildkitd: %w", err))
		}
		<-d.exited
	}
	errs = append(errs, d.removeCgroups(), os.RemoveAll(filepath.Dir(d.socket)))
	return errors.Join(errs...)
}

// removeCgroups removes what runc made in each hierarchy. A group is busy for
// a moment after its last process has ended.
func (d *Daemon) removeCgroups() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := removeTrees(d.cgroup)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// sweep removes the control groups of a program that was killed.
func sweep() error {
	left, err := filepath.Glob("/sys/fs/cgroup/*/" + cgroupPrefix + "*")
	if err != nil {
		return fmt.Errorf("finding control groups: %w", err)
	}
	for _, group := range left {
		name := filepath.Base(group)
		pid, err := strconv.Atoi(strings.TrimPrefix(name, cgroupPrefix))
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue // another one runs
		}
		if err := removeTrees(name); err != nil {
			return err
		}
	}
	return nil
}

func removeTrees(name string) error {
	const base = "/sys/fs/cgroup"
	var errs []error
	roots, err := filepath.Glob(filepath.Join(base, "*", name)) // v1, one for each controller
	if err != nil {
		return fmt.Errorf("finding control groups: %w", err)
	}
	for _, root := range append(roots, filepath.Join(base, name)) {
		var groups []string
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // what has gone meanwhile is as wanted
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("finding control groups: %w", err))
		}
		for i := len(groups) - 1; i >= 0; i-- {
			if err := os.Remove(groups[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("removing control group: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// Compile builds buildkitd from this module's own pins; the compiler's cache
// makes a second time quick.
func Compile(ctx context.Context, target string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", target, "github.com/moby/buildkit/cmd/buildkitd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building buildkitd: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
