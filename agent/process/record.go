package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// record identifies one process for as long as the machine runs.
type record struct {
	PID      int       `json:"pid"`
	Start    uint64    `json:"start"` // clock ticks since boot, proc(5) stat field 22
	Boot     string    `json:"boot"`  // /proc/sys/kernel/random/boot_id
	Since    time.Time `json:"since"`
	Revision string    `json:"revision,omitempty"`
}

// readRecord returns nil without an error when there is none.
func readRecord(file string) (*record, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a pid file: %w", err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil || r.PID <= 0 {
		// A record cut short by a crash names no process; the search by mark
		// finds the process itself.
		return nil, nil
	}
	return &r, nil
}

func writeRecord(file string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing a pid file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("making the pid file's folder: %w", err)
	}
	temp := file + ".tmp"
	if err := writeSynced(temp, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing a pid file: %w", err)
	}
	if err := os.Rename(temp, file); err != nil {
		return fmt.Errorf("placing a pid file: %w", err)
	}
	return nil
}

func writeSynced(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func removeRecord(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a pid file: %w", err)
	}
	return nil
}
