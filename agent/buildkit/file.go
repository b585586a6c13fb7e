package buildkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeFile replaces a file, readable by root only: it is either the old or
// the new one, never half of it.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("placing a file: %w", err), os.Remove(f.Name()))
	}
	return nil
}
