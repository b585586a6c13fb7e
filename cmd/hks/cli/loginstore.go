package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hks.dev/hks/agent"
)

// login is the stored login: which appliance, how to know it again, and the
// token that speaks for the owner.
type login struct {
	URL         string `json:"url"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Token       string `json:"token"`
	TokenID     string `json:"tokenId,omitempty"`
	TokenName   string `json:"tokenName,omitempty"`
}

// loginStore keeps the login in config.json, readable by its owner only.
type loginStore struct{ getenv func(string) string }

// path is HKS_CONFIG_DIR, else the XDG folder of the user.
func (s loginStore) path() (string, error) {
	if dir := s.getenv("HKS_CONFIG_DIR"); dir != "" {
		return filepath.Join(dir, "config.json"), nil
	}
	dir := s.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the XDG specification ignores relative ones
		home := s.getenv("HOME")
		if home == "" {
			return "", agent.Errorf(agent.CodeInvalid, "set HKS_CONFIG_DIR to a folder of your own", "there is no place to keep the login: HOME is not set")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "hks", "config.json"), nil
}

// load returns the stored login, the zero one when there is none.
func (s loginStore) load() (login, error) {
	path, err := s.path()
	if err != nil {
		return login{}, nil //nolint:nilerr // nowhere to look, so nothing is stored
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return login{}, nil
	}
	if err != nil {
		return login{}, agent.Errorf(agent.CodeInvalid, "give yourself the right to read it, or log in again after removing it", "the stored login can't be read: %w", err)
	}
	var l login
	if err := json.Unmarshal(data, &l); err != nil {
		return login{}, agent.Errorf(agent.CodeInvalid, "remove it and log in again: hks login URL", "the stored login %s is damaged: %w", path, err)
	}
	return l, nil
}

// save replaces the stored login.
func (s loginStore) save(l login) error {
	path, err := s.path()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the settings folder: %w", err)
	}
	return writePrivate(path, append(data, '\n'))
}

// forget removes the stored login.
func (s loginStore) forget() error {
	path, err := s.path()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the stored login: %w", err)
	}
	return nil
}

// writePrivate places a file of mode 0600 in one step.
func writePrivate(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".hks-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone after the rename
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
