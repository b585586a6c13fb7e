package k3s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/self/mountinfo, proc(5).
type mount struct {
	id      string
	parent  string // id of the mount that it lies on
	device  string // major:minor
	root    string // what of the file system is mounted
	point   string
	fstype  string
	options string // of the file system
}

// parseMounts reads mountinfo. Later mounts come later.
func parseMounts(data []byte) ([]mount, error) {
	var mounts []mount
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		separator := slices.Index(fields, "-")
		if separator < 6 || len(fields) < separator+3 {
			return nil, fmt.Errorf("a line of mountinfo is not understood: %q", line)
		}
		m := mount{
			id: fields[0], parent: fields[1], device: fields[2], root: unescape(fields[3]),
			point: unescape(fields[4]), fstype: fields[separator+1],
		}
		if len(fields) > separator+3 {
			m.options = fields[separator+3]
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// unescape reads the kernel's octal escapes, such as \040 for a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n := octal(s[i+1 : i+4]); n >= 0 {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func octal(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '7' {
			return -1
		}
		n = n*8 + int(s[i]-'0')
	}
	return n & 0xff
}

func readMounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(data)
}

// containerMounts are the file systems that containers are made of. A disk of
// the user's below k3s's data folder is of another kind and stays.
var containerMounts = []string{"overlay", "tmpfs", "nsfs", "proc", "sysfs", "mqueue", "fuse.fuse-overlayfs"}

// ownMounts picks k3s's mounts, those that hide others first.
func (c *Cleaner) ownMounts(mounts []mount) []string {
	byID := make(map[string]mount, len(mounts))
	for _, m := range mounts {
		byID[m.id] = m
	}
	var own []string
	for _, m := range mounts {
		switch {
		case m.point == resolve(kubeletFolder) && m.onto(byID[m.parent]),
			below(m.point, resolve(runFolder)),
			below(m.point, resolve(kubeletFolder)+"/pods"),
			below(m.point, resolve(kubeletFolder)+"/plugins"),
			strings.HasPrefix(m.point, resolve(netnsFolder)+"/cni-"),
			below(m.point, resolve(c.cfg.DataDir)) && slices.Contains(containerMounts, m.fstype):
			own = append(own, m.point)
		}
	}
	slices.Reverse(own)
	return own
}

// onto tells whether the mount is a folder of its parent bound onto itself. The
// kubelet does that to its own folder where the root is not a shared mount.
func (m mount) onto(parent mount) bool {
	inside, err := filepath.Rel(parent.point, m.point)
	return err == nil && m.device == parent.device && m.root == filepath.Join(parent.root, inside)
}

// below tells whether path lies in the folder, not whether it is the folder.
func below(path, folder string) bool { return strings.HasPrefix(path, folder+"/") }

// resolve follows links, as the kernel's table of mounts does.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// unmountLimit is how long a mount may stay busy while processes end.
const unmountLimit = 10 * time.Second

// unmount takes k3s's mounts away. A busy one is tried again, never detached:
// what is below it would be deleted with it.
func (c *Cleaner) unmount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unmountLimit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		mounts, err := readMounts()
		if err != nil {
			return err
		}
		var failed []error
		for _, point := range c.ownMounts(mounts) {
			err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
			if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // it went with another
				failed = append(failed, fmt.Errorf("%s: %w", point, err))
			}
		}
		if len(failed) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(failed...)
		case <-tick.C:
		}
	}
}

func (c *Cleaner) leftMounts(context.Context) ([]string, error) {
	mounts, err := readMounts()
	if err != nil {
		return nil, fmt.Errorf("looking for mounts: %w", err)
	}
	var left []string
	for _, point := range c.ownMounts(mounts) {
		left = append(left, "mount "+point)
	}
	return left, nil
}

// RemoveTrees removes folders with what is in them. A mount inside stays with
// its content and is named; a folder that is a mount itself is emptied.
func (c *Cleaner) RemoveTrees(dirs ...string) error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	points := make([]string, len(mounts))
	for i, m := range mounts {
		points[i] = m.point
	}
	var failed []error
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		failed = append(failed, removeTree(resolve(dir), points))
	}
	return errors.Join(failed...)
}

func removeTree(dir string, points []string) error {
	inside := slices.ContainsFunc(points, func(point string) bool { return below(point, dir) })
	if !inside && !slices.Contains(points, dir) {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if slices.Contains(points, path) {
			failed = append(failed, fmt.Errorf("%s is a mount and stays", path))
			continue
		}
		failed = append(failed, removeTree(path, points))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if slices.Contains(points, dir) {
		return nil // a mount can't be removed, only what is in it
	}
	return os.Remove(dir)
}
