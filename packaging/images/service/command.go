package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// command runs a program and returns what it printed; its own words are in the error.
func command(ctx context.Context, in io.Reader, name string, args ...string) (string, error) {
	var out bytes.Buffer
	err := piped(ctx, in, &out, name, args...)
	return out.String(), err
}

// piped runs a program between a reader and a writer.
func piped(ctx context.Context, in io.Reader, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var words tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &words
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(words)))
	}
	return nil
}

// tail keeps the end of what is written.
type tail []byte

const tailBytes = 4 << 10

// Write takes p; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if extra := len(*t) - tailBytes; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(p), nil
}

// become replaces this process by a server.
func become(name string, args ...string) error {
	if err := syscall.Exec(name, append([]string{name}, args...), os.Environ()); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	return nil
}

// syncFolder puts a folder's entries on disk.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeAll writes a file and puts it on disk.
func writeAll(path string, from io.Reader, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Sync(), file.Close())
}
