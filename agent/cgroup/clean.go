package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// clearLimit is how long processes, mounts and groups may take to be gone.
const (
	clearLimit = 10 * time.Second
	clearPace  = 50 * time.Millisecond
)

// Remove takes away what a stopped daemon leaves: steps, mounts and control
// groups. The cache stays. Removing twice is fine.
func (p *Place) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clearLimit)
	defer cancel()
	err := errors.Join(p.kill(ctx), p.unmount(ctx))
	groups := p.recorded()
	for _, group := range slices.Backward(groups) {
		err = errors.Join(err, p.removeGroup(ctx, group))
	}
	if err == nil && len(groups) > 0 {
		err = os.Remove(p.cfg.Record)
	}
	if err != nil {
		return fmt.Errorf("clearing up after builds: %w", err)
	}
	return nil
}

// Leftovers lists what Remove would still find, each in a few words.
func (p *Place) Leftovers() ([]string, error) {
	var left []string
	mounts, err := p.mounts()
	for _, point := range mounts {
		left = append(left, "mount "+point)
	}
	for _, group := range p.recorded() {
		if isDir(group) && p.ours(group) {
			left = append(left, "control group "+group)
		}
	}
	return left, err
}

// kill ends the steps and waits for it.
func (p *Place) kill(ctx context.Context) error {
	all, group, err := p.find()
	if err != nil {
		return nil // without groups there is no telling; the kernel ends them with their parent
	}
	first, err := primary(all)
	if err != nil {
		return err
	}
	steps := filepath.Join(first.point, group, stepsName)
	return patiently(ctx, func() error {
		pids, err := processes(steps)
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("ending process %d of a build: %w", pid, err)
			}
		}
		if err == nil && len(pids) > 0 {
			err = fmt.Errorf("processes %v of a build do not end", pids)
		}
		return err
	})
}

// processes lists those of a group and the groups below it.
func processes(group string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return err
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil || pid <= 1 {
				continue // 0 is a process that can't be seen from here
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
}

// mounts lists what is mounted below the daemon's folder, last mounted first.
func (p *Place) mounts() ([]string, error) {
	dir, err := filepath.EvalSymlinks(p.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for mounts: %w", err)
	}
	infos, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return nil, fmt.Errorf("looking for mounts: %w", err)
	}
	var points []string
	for _, info := range slices.Backward(infos) {
		if info.Mountpoint != dir { // it may be a disk of its own
			points = append(points, info.Mountpoint)
		}
	}
	return points, nil
}

func (p *Place) unmount(ctx context.Context) error {
	return patiently(ctx, func() error {
		points, err := p.mounts()
		for _, point := range points {
			if failed := unix.Unmount(point, unix.UMOUNT_NOFOLLOW); failed != nil && !errors.Is(failed, unix.EINVAL) && !errors.Is(failed, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("unmounting %s: %w", point, failed))
			}
		}
		return err
	})
}

// ours tells a group that holds builds from one that was only on the way to it.
func (p *Place) ours(group string) bool {
	for name := range strings.SplitSeq(group, "/") {
		if name == ownName || (name == p.cfg.Unit && name != "") {
			return true
		}
	}
	return false
}

// removeGroup removes a group of builds with all below it. One that was only
// on the way stays when someone else is in it now.
func (p *Place) removeGroup(ctx context.Context, group string) error {
	if !p.ours(group) {
		if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
		return nil
	}
	return patiently(ctx, func() error { // it is busy for a moment after its last process
		var dirs []string
		err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		for _, dir := range slices.Backward(dirs) {
			if failed := unix.Rmdir(dir); failed != nil && !errors.Is(failed, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("removing the control group %s: %w", dir, failed))
			}
		}
		return err
	})
}

// patiently tries until it succeeds or ctx ends, and returns the last error.
func patiently(ctx context.Context, try func() error) error {
	tick := time.NewTicker(clearPace)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
