package installer

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"hks.dev/hks/agent"
)

// lock keeps a second installer out until the returned function is called. It
// locks a folder, so that no file stays behind.
func (m *machine) lock() (func(), error) {
	dir := m.paths.At("run")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &agent.Error{Code: agent.CodeConflict, Message: "another hks-installer is at work on this machine", Fix: "wait until it has ended"}
		}
		return nil, fmt.Errorf("locking: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}
