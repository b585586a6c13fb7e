package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// groups are the sandbox's control groups, one in each hierarchy.
type groups []string

// hierarchies are the roots of the control group hierarchies. A sandbox's groups are made there, and not inside this
// process's own, because a kubelet wants one path that is the same in all of them.
func hierarchies() []string {
	var out []string
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, line := range strings.Split(string(mounts), "\n") {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if ok && len(l) > 4 && len(r) > 0 && strings.HasPrefix(r[0], "cgroup") && !slices.Contains(out, l[4]) {
			out = append(out, l[4])
		}
	}
	return out
}

func makeGroups(name string) (groups, error) {
	var made groups
	for _, h := range hierarchies() {
		dir := filepath.Join(h, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return made, fmt.Errorf("control group: %w", err)
		}
		made = append(made, dir)
		// A new cpuset is empty, and takes no process before it has these.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if data, err := os.ReadFile(filepath.Join(h, f)); err == nil {
				if err := os.WriteFile(filepath.Join(dir, f), data, 0o644); err != nil {
					return made, err
				}
			}
		}
	}
	return made, nil
}

func (g groups) add(pid int) error {
	for _, dir := range g {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	return nil
}

func (g groups) remove() error {
	var all error
	for _, dir := range g {
		all = errors.Join(all, removeTree(dir, 10*time.Second))
	}
	return all
}

// removeTree removes a control group and those below it, which may be busy for a moment after their last process.
func removeTree(root string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		var last error
		for _, d := range slices.Backward(dirs) {
			if err := os.Remove(d); err != nil && !os.IsNotExist(err) {
				last = err
			}
		}
		if last == nil || time.Now().After(deadline) {
			return last
		}
		time.Sleep(50 * time.Millisecond)
	}
}
