package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

// Room refuses size bytes more where the machine could not keep the promise:
// files are sparse, so what disks may still write counts as used.
func (d *Disks) Room(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.room(size)
}

func (d *Disks) room(size int64) error {
	free, err := d.free()
	if err != nil {
		return err
	}
	if size <= free {
		return nil
	}
	return &agent.Error{
		Code:    agent.CodeQuotaStorage,
		Message: fmt.Sprintf("this machine's disk has no room for %s more of volumes: %s are free beside what other volumes may still take and a reserve of %s", sizeText(size), sizeText(max(free, 0)), sizeText(Reserve)),
		Fix:     "ask for less, free some (hks image prune; hks volume list shows volumes that are only kept), or give the machine a larger disk",
		Details: map[string]any{"asked": size, "free": max(free, 0)},
	}
}

// free is what disks can be promised still, in bytes; below 0 when too much is
// promised already.
func (d *Disks) free() (int64, error) {
	there := d.dir // the folder is made with the first disk
	for {
		if _, err := os.Stat(there); err == nil || there == "/" {
			break
		}
		there = filepath.Dir(there)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(there, &stat); err != nil {
		return 0, fmt.Errorf("looking at the free space: %w", err)
	}
	free := int64(stat.Bavail)*stat.Bsize - Reserve //nolint:gosec // blocks of a disk
	ids, err := d.List()
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		var image unix.Stat_t
		err := unix.Stat(d.image(id), &image)
		if errors.Is(err, fs.ErrNotExist) {
			err = unix.Stat(d.incoming(id), &image) // what is to arrive was promised too
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return 0, fmt.Errorf("looking at the disk %s: %w", id, err)
		}
		free -= max(image.Size-image.Blocks*512, 0)
	}
	return free, nil
}

// Fill tells how much of a mounted disk is used and how much it holds in all,
// in bytes; ok is false where it is not mounted.
func (d *Disks) Fill(id string) (used, size int64, ok bool) {
	if checkID(id) != nil {
		return 0, 0, false
	}
	if is, err := d.mounted(id); err != nil || !is {
		return 0, 0, false
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(d.mountPoint(id), &stat); err != nil {
		return 0, 0, false
	}
	used = int64(stat.Blocks-stat.Bfree) * stat.Bsize       //nolint:gosec // blocks of a disk
	return used, used + int64(stat.Bavail)*stat.Bsize, true //nolint:gosec // without what the kernel keeps for itself
}

// Exists tells whether the disk is there, whole.
func (d *Disks) Exists(id string) (bool, error) {
	ids, err := d.List()
	if err != nil || !slices.Contains(ids, id) {
		return false, err
	}
	_, err = os.Stat(d.image(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func sizeText(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
