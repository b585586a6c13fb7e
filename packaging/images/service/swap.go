package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// exchange is a folder of data that a restore replaces as a whole. Restored
// data is made beside it and put in its place by the next start, so that a
// process that ends at any moment leaves one of the two, whole.
type exchange struct{ folder string }

// making is where restored data is made.
func (x exchange) making() string { return x.folder + ".restored.new" }

func (x exchange) waiting() string { return x.folder + ".restored" }
func (x exchange) before() string  { return x.folder + ".before" }

// begin makes an empty folder for restored data.
func (x exchange) begin() error {
	if err := errors.Join(os.RemoveAll(x.making()), os.MkdirAll(x.making(), 0o700)); err != nil {
		return fmt.Errorf("making room for restored data: %w", err)
	}
	return nil
}

// drop removes what was begun and not committed.
func (x exchange) drop() { _ = os.RemoveAll(x.making()) } // the next one begins by it

// commit has the next start take what was made.
func (x exchange) commit() error {
	err := errors.Join(syncFolder(x.making()), os.RemoveAll(x.waiting()), os.Rename(x.making(), x.waiting()), syncFolder(filepath.Dir(x.folder)))
	if err != nil {
		return fmt.Errorf("keeping restored data: %w", err)
	}
	return nil
}

// take puts restored data in its place; what was there stays beside it until
// the next restore. Without any, it does nothing.
func (x exchange) take() error {
	if _, err := os.Stat(x.waiting()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := os.Stat(x.folder); err == nil {
		if err := errors.Join(os.RemoveAll(x.before()), os.Rename(x.folder, x.before())); err != nil {
			return fmt.Errorf("keeping the data from before: %w", err)
		}
	}
	return errors.Join(os.Rename(x.waiting(), x.folder), syncFolder(filepath.Dir(x.folder)))
}

// stopServer ends process 1, and with it the container, which is started anew.
func stopServer() error { return syscall.Kill(1, syscall.SIGTERM) }
