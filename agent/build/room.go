package build

import (
	"fmt"
	"syscall"

	"hks.dev/hks/agent"
)

// room refuses a build when the disk is nearly full: what apps and services
// write is worth more than another image.
func (m *Manager) room() error {
	free, err := m.cfg.FreeSpace(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("asking for free space: %w", err)
	}
	if free >= m.cfg.MinFree {
		return nil
	}
	return &agent.Error{
		Code:    agent.CodeNoSpace,
		Message: fmt.Sprintf("the appliance's disk has %.1f GiB free, and nothing is built below %.1f GiB", gib(free), gib(m.cfg.MinFree)),
		Fix:     "make room: hks image prune removes images that no release needs, hks build prune what builds kept; hks volume list shows volumes that are only kept",
		Details: map[string]any{"free": free, "limit": m.cfg.MinFree},
	}
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func freeSpace(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * stat.Bsize, nil //nolint:gosec // blocks of a disk
}
