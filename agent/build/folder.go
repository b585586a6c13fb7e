package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

// What is in the folder of builds: one folder a build, and sources that are
// on their way.
const (
	incomingPrefix = "incoming-"
	sourceFolder   = "source" // goes when the build ends
	logFile        = "log"    // stays as long as the build
)

// ownName is where the registry keeps the appliance's own images.
const ownName = "hks"

// syncAll puts on the disk what was written to the file system of a folder.
func syncAll(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("keeping a source: %w", err)
	}
	defer func() { _ = f.Close() }() // only to name the file system
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("keeping a source: %w", err)
	}
	return nil
}

func (m *Manager) folder(id int64) string {
	return filepath.Join(m.cfg.Dir, strconv.FormatInt(id, 10))
}

func (m *Manager) folders(ids []int64) []string {
	folders := make([]string, len(ids))
	for i, id := range ids {
		folders[i] = m.folder(id)
	}
	return folders
}

// sweep removes uploads that were cut off, and sources of builds that ended.
func (m *Manager) sweep(unfinished []agent.Build) error {
	entries, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("looking through the folder of builds: %w", err)
	}
	for _, entry := range entries {
		remove := filepath.Join(m.cfg.Dir, entry.Name())
		if !strings.HasPrefix(entry.Name(), incomingPrefix) {
			id, err := strconv.ParseInt(entry.Name(), 10, 64)
			if err != nil || slices.ContainsFunc(unfinished, func(b agent.Build) bool { return b.ID == id }) {
				continue
			}
			remove = filepath.Join(remove, sourceFolder)
		}
		if err := os.RemoveAll(remove); err != nil {
			return fmt.Errorf("clearing the folder of builds: %w", err)
		}
	}
	return nil
}
