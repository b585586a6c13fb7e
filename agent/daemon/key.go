package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keySize is the size of the sealing key in bytes (AES-256).
const keySize = 32

// loadKey returns the key that seals secret values in the database, made at
// the first start. Without this file the sealed values are lost, so it is
// never replaced.
func loadKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeKey(file)
	case err != nil:
		return nil, fmt.Errorf("reading the sealing key: %w", err)
	case len(key) != keySize:
		return nil, fmt.Errorf("the sealing key %s has %d bytes, want %d: put the file of a backup back", file, len(key), keySize)
	}
	return key, nil
}

func makeKey(file string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("making the sealing key: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already after the rename
	_, err = temp.Write(key)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, fmt.Errorf("writing the sealing key: %w", err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return nil, fmt.Errorf("placing the sealing key: %w", err)
	}
	return key, nil
}
