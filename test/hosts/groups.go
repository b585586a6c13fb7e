package hosts

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

// hierarchies are the roots of the machine's control group hierarchies.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var roots []string
	for line := range strings.Lines(string(mounts)) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if ok && len(l) > 4 && len(r) > 0 && strings.HasPrefix(r[0], "cgroup") && !slices.Contains(roots, l[4]) {
			roots = append(roots, l[4])
		}
	}
	return roots, nil
}

// makeGroups makes a control group in each hierarchy.
func makeGroups(name string) ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, fmt.Errorf("making control groups: %w", err)
	}
	var made []string
	for _, root := range roots {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return made, fmt.Errorf("making control groups: %w", err)
		}
		made = append(made, dir)
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} { // a new cpuset takes no process before it has these
			data, err := os.ReadFile(filepath.Join(root, f))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, f), data, 0o644)
			}
			if err != nil {
				return made, fmt.Errorf("making control groups: %w", err)
			}
		}
	}
	return made, nil
}

// enterGroups moves this process.
func enterGroups(dirs []string) error {
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("entering a control group: %w", err)
		}
	}
	return nil
}

// members are the processes of a control group and those below it.
func members(root string) []int {
	var pids []int
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // groups come and go
		}
		data, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for field := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// removeGroups removes control groups and those below them, which may be busy
// for a moment after their last process.
func removeGroups(dirs []string) error {
	var all error
	for _, root := range dirs {
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := removeGroup(root)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				all = errors.Join(all, err)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return all
}

func removeGroup(root string) error {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	var last error
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			last = err
		}
	}
	return last
}
