package k3s

import (
	"bytes"
	"cmp"
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

// podGroups are the names of the kubelet's control groups, without and with
// systemd's driver.
var podGroups = []string{"kubepods", "kubepods.slice"}

// removeCgroups removes the pods' control groups, deepest first. The kernel
// refuses to remove one that has a process in it, and so it stays.
func (c *Cleaner) removeCgroups(ctx context.Context) error {
	groups, err := ownCgroups()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var failed []error
		for _, group := range groups {
			err := unix.Rmdir(group)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				failed = append(failed, fmt.Errorf("%s: %w", group, err))
			}
		}
		if len(failed) == 0 {
			return nil
		}
		select { // a group stays busy for a moment after its last process
		case <-ctx.Done():
			return errors.Join(failed...)
		case <-tick.C:
		}
	}
}

func (c *Cleaner) leftCgroups(context.Context) ([]string, error) {
	groups, err := ownCgroups()
	if err != nil {
		return nil, fmt.Errorf("looking for control groups: %w", err)
	}
	var left []string
	for _, group := range groups {
		left = append(left, "control group "+strings.TrimPrefix(group, "/sys/fs/cgroup/"))
	}
	return left, nil
}

// ownCgroups lists the pods' groups of every hierarchy, deepest first. They
// are below the root, or below PID 1's own group in a container.
func ownCgroups() ([]string, error) {
	mounts, err := readMounts()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, m := range mounts {
		if m.fstype != "cgroup" && m.fstype != "cgroup2" {
			continue
		}
		for _, parent := range cgroupParents(m, data) {
			for _, name := range podGroups {
				err := filepath.WalkDir(filepath.Join(parent, name), func(path string, entry fs.DirEntry, err error) error {
					if errors.Is(err, fs.ErrNotExist) {
						return nil // it went while we looked
					}
					if err == nil && entry.IsDir() {
						groups = append(groups, path)
					}
					return err
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	slices.SortFunc(groups, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")), cmp.Compare(a, b))
	})
	return slices.Compact(groups), nil
}

// cgroupParents returns where the kubelet makes its groups in a hierarchy:
// its root and PID 1's group there, cgroups(7).
func cgroupParents(m mount, membership []byte) []string {
	parents := []string{m.point}
	for line := range bytes.Lines(membership) {
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) != 3 || fields[2] == "/" || strings.HasPrefix(fields[2], "/..") {
			continue
		}
		controllers := strings.Split(fields[1], ",")
		unified := m.fstype == "cgroup2" && fields[0] == "0"
		same := m.fstype == "cgroup" && slices.ContainsFunc(controllers, func(c string) bool {
			return c != "" && slices.Contains(strings.Split(m.options, ","), c)
		})
		if unified || same {
			parents = append(parents, filepath.Join(m.point, fields[2]))
		}
	}
	return parents
}
