package installer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hks.dev/hks/agent/archive"
)

// placeStaged moves what was unpacked to its places. Each move is one rename,
// and one that was made before an interruption is seen to be. The note of the
// restore comes last: it says that the others are in place.
func (m *machine) placeStaged(ctx context.Context) error {
	waiting := m.waiting()
	if !exists(filepath.Join(waiting, restoringFile)) {
		return nil // the last move was made
	}
	ctx, cancel := context.WithTimeout(ctx, cleanLimit)
	defer cancel()
	if exists(m.server() + restoringSuffix) { // else what is there is the restored one
		if err := m.takeOldAway(ctx); err != nil {
			return err
		}
		if err := moveOver(m.server()+restoringSuffix, m.server()); err != nil {
			return err
		}
	}
	m.say("placing it")
	if err := m.placePassword(filepath.Join(waiting, machineFolder)); err != nil {
		return err
	}
	if err := m.placeSettings(filepath.Join(waiting, settingsFolder)); err != nil {
		return err
	}
	entries, err := os.ReadDir(waiting)
	if err != nil {
		return fmt.Errorf("placing what was restored: %w", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != restoringFile && !strings.HasPrefix(name, ".") {
			if err := moveOver(filepath.Join(waiting, name), m.paths.State(name)); err != nil {
				return err
			}
		}
	}
	if err := moveOver(filepath.Join(waiting, restoringFile), m.paths.State(restoringFile)); err != nil {
		return err
	}
	return os.RemoveAll(waiting)
}

// takeOldAway takes the appliance of before off this machine.
func (m *machine) takeOldAway(ctx context.Context) error {
	if !exists(m.paths.State("hks.db")) && !exists(m.paths.NodeFile()) && !exists(m.server()) {
		return nil
	}
	m.say("taking the appliance of before off this machine")
	cleaner, err := m.cleaner()
	if err != nil {
		return err
	}
	if err := m.takeDown(ctx, cleaner); err != nil {
		return err
	}
	gone := []string{m.server(), filepath.Join(m.paths.K3sData(), "agent")}
	entries, err := os.ReadDir(m.paths.State())
	if err != nil {
		return fmt.Errorf("looking at what is there: %w", err)
	}
	for _, entry := range entries {
		if path := m.paths.State(entry.Name()); path != m.waiting() {
			gone = append(gone, path)
		}
	}
	return cleaner.RemoveTrees(gone...)
}

// placeSettings puts the settings where they belong; what else is in their
// folder stays.
func (m *machine) placeSettings(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it had none, so the defaults are in force
	}
	if err != nil {
		return fmt.Errorf("placing the settings: %w", err)
	}
	target := filepath.Dir(m.paths.ConfigFile())
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("placing the settings: %w", err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err == nil {
			err = replaceFile(filepath.Join(target, entry.Name()), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("placing the settings: %w", err)
		}
	}
	return nil
}

// moveOver renames a file or folder over what is there.
func moveOver(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("placing %s: %w", to, err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("placing %s: %w", to, err)
	}
	return syncDir(filepath.Dir(to))
}

// placePassword puts the node's password where its cluster looks for it, and
// keeps another one that is there beside it.
func (m *machine) placePassword(folder string) error {
	name := strings.TrimPrefix(archive.NodePassword, archive.Machine)
	data, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	target := "/" + name
	if before, err := os.ReadFile(target); err == nil && !bytes.Equal(before, data) {
		if err := os.Rename(target, target+".before-restore"); err != nil {
			return fmt.Errorf("placing the node's password: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	if err := replaceFile(target, data, 0o600); err != nil {
		return fmt.Errorf("placing the node's password: %w", err)
	}
	return os.RemoveAll(folder)
}

func syncDir(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("syncing a folder: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
