package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prefix = "hks-sandbox-"
	grace  = 20 * time.Second // between SIGTERM and SIGKILL
)

// A plan is what the outer half tells the inner one.
type plan struct {
	Scratch, Hostname, Command string
	Args                       []string
	Network                    network
	Other                      bool // a second machine beside the one it is started from
}

// launch runs the command inside and takes everything away afterwards.
func launch(opts options) (code int, err error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("must run as root")
	}
	// The inner half dies with the thread that started it, so that thread has to stay.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	dieWithGoRun()
	if opts.bridge == "" { // else the processes of other sandboxes may not be seen from here
		sweep()
	}

	path, err := exec.LookPath(opts.command[0])
	if err != nil {
		return 127, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return 0, err
	}
	scratch, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	groups, err := makeGroups(filepath.Base(scratch))
	defer func() { err = errors.Join(err, groups.remove()) }()
	if err != nil {
		return 0, err
	}
	net := network{Address: "10.99.0.2/24", Gateway: "10.99.0.1"}
	if opts.nat {
		undo, n, err := makeNAT()
		defer func() { err = errors.Join(err, undo()) }()
		if err != nil {
			return 0, err
		}
		net = n
	}
	if opts.bridge != "" {
		undo, n, err := makePort(opts.bridge, opts.address)
		defer func() { err = errors.Join(err, undo()) }()
		if err != nil {
			return 0, err
		}
		net = n
	}
	cmd, begin, err := startInside(plan{Scratch: scratch, Hostname: opts.hostname, Command: path, Args: opts.command, Network: net, Other: opts.bridge != ""})
	if err != nil {
		return 0, err
	}
	if err := errors.Join(groups.add(cmd.Process.Pid), net.hand(cmd.Process.Pid)); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	begin()
	return wait(cmd, signals)
}

// startInside starts the inner half, which waits for begin.
func startInside(p plan) (cmd *exec.Cmd, begin func(), err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	cmd = exec.Command("/proc/self/exe", insideArg, string(data))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, nil, fmt.Errorf("making namespaces: %w", err)
	}
	return cmd, func() { _, _ = w.Write([]byte("go")); w.Close() }, nil
}

// wait passes signals on until the inner half ends.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var limit <-chan time.Time
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
			if s != syscall.SIGUSR1 && s != syscall.SIGUSR2 && limit == nil {
				limit = time.After(grace)
			}
		case <-limit:
			_ = cmd.Process.Kill()
		case err := <-done:
			var failed *exec.ExitError
			if errors.As(err, &failed) {
				return status(failed.Sys().(syscall.WaitStatus)), nil
			}
			return 0, err
		}
	}
}

func status(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// dieWithGoRun ends the sandbox when the `go run` that started it is killed: go run passes SIGTERM to nobody.
func dieWithGoRun() {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	if err == nil && strings.TrimSpace(string(name)) == "go" {
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
	}
}

// sweep removes what a sandbox left that was killed by SIGKILL.
func sweep() {
	stale := func(name string) bool {
		var pid int
		if _, err := fmt.Sscanf(name, prefix+"%d-", &pid); err != nil {
			return false
		}
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	for _, h := range hierarchies() {
		found, _ := filepath.Glob(filepath.Join(h, prefix+"*"))
		for _, dir := range found {
			if stale(filepath.Base(dir)) {
				_ = removeTree(dir, time.Second)
			}
		}
	}
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range found {
		if stale(filepath.Base(dir)) {
			_ = os.RemoveAll(dir)
		}
	}
}
