package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is the inner half: PID 1 of the sandbox. It makes the place, runs the command, reaps, and ends with it.
func inside(args []string) (int, error) {
	var p plan
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return 0, err
	}
	gate := os.NewFile(3, "gate")
	if word, err := io.ReadAll(gate); err != nil || string(word) != "go" {
		return 0, errors.New("the outer half went away")
	}
	gate.Close()
	signals := make(chan os.Signal, 32)
	signal.Notify(signals)
	cwd, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	if err := unix.Sethostname([]byte(p.Hostname)); err != nil {
		return 0, fmt.Errorf("host name: %w", err)
	}
	if err := makeMounts(p); err != nil {
		return 0, err
	}
	if err := p.Network.up(); err != nil {
		return 0, err
	}
	if err := os.Chdir(cwd); err != nil { // the same folder, seen through the new mounts
		return 0, err
	}
	child, err := syscall.ForkExec(p.Command, p.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{},
	})
	if err != nil {
		return 126, fmt.Errorf("%s: %w", p.Command, err)
	}
	for {
		switch s := (<-signals).(syscall.Signal); s {
		case syscall.SIGCHLD:
			if code, ended := reap(child); ended {
				return code, nil
			}
		case syscall.SIGURG, syscall.SIGPIPE: // the Go runtime's own
		default:
			_ = syscall.Kill(child, s)
		}
	}
}

// reap takes in everybody who has died, and says whether the command has.
func reap(child int) (code int, ended bool) {
	for {
		var s syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &s, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return code, ended
		}
		if pid == child {
			code, ended = status(s), true
		}
	}
}
