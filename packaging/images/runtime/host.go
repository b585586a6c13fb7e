package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Deadlines of a host's life.
const (
	readyWithin = 60 * time.Second // until the framework is loaded
	loadWithin  = 30 * time.Second // until the function serves
	stopWithin  = 8 * time.Second  // for requests under way
)

// servePort is where the function serves.
const servePort = "8081"

// host is the process that has the framework in memory and gets the function.
// It speaks JSON lines: the function on its standard input, answers on file 3.
type host struct {
	cmd     *exec.Cmd
	input   io.WriteCloser
	answers *bufio.Reader
	exited  chan error
}

// answer is one line of the host's.
type answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

// start starts the command and waits until its framework is loaded. Without a
// command the host begins with its function.
func start(ctx context.Context, command []string) (*host, error) {
	h := &host{exited: make(chan error, 1)}
	if len(command) == 0 {
		return h, nil
	}
	if err := h.exec(command, "/", os.Environ(), true); err != nil {
		return nil, err
	}
	a, err := h.answer(ctx, readyWithin)
	if err == nil && !a.OK {
		err = errors.New(a.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the host: %w", err)
	}
	return h, nil
}

func (h *host) exec(command []string, dir string, env []string, speaks bool) error {
	h.cmd = exec.Command(command[0], command[1:]...)
	h.cmd.Dir, h.cmd.Env = dir, env
	h.cmd.Stdout, h.cmd.Stderr = os.Stdout, os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if speaks {
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		defer write.Close()
		h.cmd.ExtraFiles = []*os.File{write}
		h.answers = bufio.NewReader(read)
		if h.input, err = h.cmd.StdinPipe(); err != nil {
			return err
		}
	}
	if err := h.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", command[0], err)
	}
	go func() { h.exited <- h.cmd.Wait() }()
	return nil
}

func (h *host) answer(ctx context.Context, within time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type line struct {
		text []byte
		err  error
	}
	lines := make(chan line, 1)
	go func() { // ends with the line, or with the host
		text, err := h.answers.ReadBytes('\n')
		lines <- line{text, err}
	}()
	var a answer
	select {
	case l := <-lines:
		if l.err != nil {
			return a, errors.New("the process ended while the function was loaded; its log says why")
		}
		return a, json.Unmarshal(l.text, &a)
	case <-ctx.Done():
		return a, fmt.Errorf("loading took longer than %s", within)
	}
}

// load hands the function over and returns when it serves.
func (h *host) load(ctx context.Context, f function) error {
	env := append(os.Environ(), "PORT="+servePort, "FUNCTION_TARGET="+f.Entry, "FUNCTION_SIGNATURE_TYPE="+f.Signature, "HOME=/tmp")
	for name, value := range f.Env {
		env = append(env, name+"="+value)
	}
	if h.cmd == nil {
		if err := h.exec([]string{f.Dir + "/function"}, f.Dir, env, false); err != nil {
			return err
		}
		return h.listens(ctx)
	}
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if _, err := h.input.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("handing the function over: %w", err)
	}
	a, err := h.answer(ctx, loadWithin)
	if err == nil && !a.OK {
		err = errors.New(a.Error)
	}
	return err
}

// listens waits until the program accepts connections.
func (h *host) listens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+servePort)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-h.exited:
			h.exited <- err
			return fmt.Errorf("the program ended at its start: %v; its log says why", err)
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the program did not listen within %s", loadWithin)
		}
	}
}

func (h *host) stop() error {
	if h.cmd == nil {
		return nil
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil // it has ended
	}
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-h.exited:
	case <-timer.C:
		return h.cmd.Process.Kill()
	}
	return nil
}
