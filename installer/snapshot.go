package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent/store"
)

// The databases of a snapshot.
const (
	snapshotState  = "hks.db"   // what the agent knows
	snapshotEngine = "state.db" // the cluster's objects
	snapshotLimit  = 5 * time.Minute
)

// snapshots holds one folder a snapshot.
func (m *machine) snapshots() string { return m.paths.State("upgrades") }

// engineDatabase is where k3s keeps the cluster's objects.
func (m *machine) engineDatabase() string {
	return filepath.Join(m.paths.K3sData(), "server/db/state.db")
}

// snapshotFiles are the small things without which the databases are of no
// use: keys, tokens, certificates and settings. A folder is taken whole.
func (m *machine) snapshotFiles() map[string]string {
	server := filepath.Join(m.paths.K3sData(), "server")
	return map[string]string{
		"secret.key":       m.paths.State("secret.key"),
		"config.yaml":      m.paths.ConfigFile(),
		"agent.kubeconfig": m.paths.AgentKubeconfig(),
		"api":              m.paths.State("api"),
		"gateway":          m.paths.GatewayState(),
		"k3s-token":        filepath.Join(server, "token"),
		"k3s-agent-token":  filepath.Join(server, "agent-token"),
		"k3s-cred":         filepath.Join(server, "cred"),
		"k3s-tls":          filepath.Join(server, "tls"),
	}
}

// takeSnapshot copies what the version that ran knows; its agent is stopped,
// so that nothing is accepted after it. The folder has its name when it is whole.
func (m *machine) takeSnapshot(ctx context.Context, c *change) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotLimit)
	defer cancel()
	folder := filepath.Join(m.snapshots(), time.Now().UTC().Format("20060102T150405.000Z")+"-"+c.From)
	temp := folder + ".tmp"
	if err := os.MkdirAll(m.snapshots(), 0o700); err != nil {
		return "", fmt.Errorf("taking a snapshot: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(m.snapshots(), "*.tmp"))
	if err != nil {
		return "", fmt.Errorf("taking a snapshot: %w", err)
	}
	for _, half := range left {
		if err := os.RemoveAll(half); err != nil {
			return "", fmt.Errorf("clearing half a snapshot: %w", err)
		}
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return "", fmt.Errorf("taking a snapshot: %w", err)
	}
	for name, file := range map[string]string{snapshotState: m.paths.State("hks.db"), snapshotEngine: m.engineDatabase()} {
		if !exists(file) {
			continue // a cluster may keep its objects elsewhere
		}
		if err := store.CopyFile(ctx, file, filepath.Join(temp, name)); err != nil {
			return "", fmt.Errorf("taking a snapshot: %w", err)
		}
	}
	for name, from := range m.snapshotFiles() {
		if err := copyTree(from, filepath.Join(temp, name)); err != nil {
			return "", fmt.Errorf("taking a snapshot: %w", err)
		}
	}
	if err := errors.Join(syncFolder(temp), os.Rename(temp, folder), syncFolder(m.snapshots())); err != nil {
		return "", fmt.Errorf("taking a snapshot: %w", err)
	}
	return folder, nil
}

// restoreSnapshot puts the databases of a snapshot in place; the agent is
// stopped. With engine the cluster's objects too: the engine is stopped for
// it, and started by the agent. Containers run on meanwhile. Doing it twice is fine.
func (m *machine) restoreSnapshot(ctx context.Context, folder string, engine bool) error {
	files := map[string]string{snapshotState: m.paths.State("hks.db")}
	if engine && exists(filepath.Join(folder, snapshotEngine)) {
		s, err := m.engineService()
		if err != nil {
			return err
		}
		m.say("stopping the engine to put the cluster's objects back; containers go on")
		if err := s.Stop(ctx); err != nil {
			return fmt.Errorf("stopping the engine: %w", err)
		}
		files[snapshotEngine] = m.engineDatabase()
	}
	for name, target := range files {
		from := filepath.Join(folder, name)
		if !exists(from) {
			if name == snapshotState && !exists(target) {
				continue // there was none yet
			}
			return fmt.Errorf("the snapshot %s has no %s", folder, name)
		}
		temp := target + ".restored"
		if err := os.RemoveAll(temp); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
		if err := copyPlain(from, temp, 0o600); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
		// What SQLite had not written into the file yet belongs to the one that goes.
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			if err := ignoreMissing(os.Remove(target + suffix)); err != nil {
				return fmt.Errorf("restoring %s: %w", name, err)
			}
		}
		if err := errors.Join(os.Rename(temp, target), syncFolder(filepath.Dir(target))); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
	}
	return nil
}

// copyTree copies a file or a folder of files, without what is neither; what
// is not there is no error.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		return copyPlain(from, to, info.Mode().Perm())
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(path, ".lock") {
			return nil
		}
		err = copyPlain(path, target, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// copyPlain copies a file to a new one and syncs it.
func copyPlain(from, to string, mode fs.FileMode) error {
	want, err := hashFile(from)
	if err != nil {
		return err
	}
	if err := copyFile(from, to, want); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}
