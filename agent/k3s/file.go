package k3s

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// writeFile replaces a file, readable by root only, and tells whether its
// content changed. It is either the old or the new one, never half of it.
func writeFile(path string, data []byte) (bool, error) {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return false, os.Chmod(path, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return false, errors.Join(err, os.Remove(f.Name()))
	}
	return true, nil
}

// revision names what k3s runs with: its settings, registries and program. The
// same file under another version's name is the same program.
func (e *Engine) revision(settings []byte) (string, error) {
	registries, err := os.ReadFile(e.cfg.RegistriesFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading registry settings: %w", err)
	}
	binary, err := filepath.EvalSymlinks(e.cfg.Binary)
	if err != nil {
		return "", fmt.Errorf("finding k3s: %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return "", fmt.Errorf("finding k3s: %w", err)
	}
	var device, inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		device, inode = st.Dev, st.Ino
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %d %d %d\n%d\n%s%d\n%s", info.Size(), info.ModTime().UnixNano(), device, inode,
		len(settings), settings, len(registries), registries)
	return hex.EncodeToString(sum.Sum(nil)) + "\n", nil
}
