package k3s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// proc is what tells whose a process is.
type proc struct {
	pid, parent int
	argv        []string
	exe         string
	env         []string
	sameMounts  bool   // it sees the file system that we see
	rootUpper   string // the upper folder of the overlay that is its root; "" for none
}

// killLimit is how long killed processes may take to be gone.
const killLimit = 20 * time.Second

// killProcesses kills containers, their shims and what else still runs of
// k3s, and looks again until nothing new has come.
func (c *Cleaner) killProcesses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		own, err := c.ownProcesses()
		if err != nil || len(own) == 0 {
			return err
		}
		for _, p := range own {
			if err := unix.Kill(p.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("killing process %d (%s): %w", p.pid, p.title(), err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still there after SIGKILL: %s", titles(own))
		case <-tick.C:
		}
	}
}

func (c *Cleaner) leftProcesses(context.Context) ([]string, error) {
	own, err := c.ownProcesses()
	if err != nil {
		return nil, fmt.Errorf("looking for processes: %w", err)
	}
	var left []string
	for _, p := range own {
		left = append(left, "process "+p.title())
	}
	return left, nil
}

func (c *Cleaner) ownProcesses() ([]proc, error) {
	all, err := readProcesses()
	if err != nil {
		return nil, err
	}
	return c.pick(all, os.Getpid()), nil
}

// pick chooses k3s's processes and all that descend from them. It never
// chooses self or what self descends from.
func (c *Cleaner) pick(all []proc, self int) []proc {
	parents, chosen, spared := map[int]int{}, map[int]bool{}, map[int]bool{0: true, 1: true}
	for _, p := range all {
		parents[p.pid] = p.parent
	}
	for pid := self; pid > 1; pid = parents[pid] {
		spared[pid] = true
	}
	for _, p := range all {
		chosen[p.pid] = c.owns(p)
	}
	var own []proc
	for _, p := range all {
		if spared[p.pid] {
			continue
		}
		for pid := p.pid; pid > 1; pid = parents[pid] {
			if chosen[pid] && !spared[pid] {
				own = append(own, p)
				break
			}
		}
	}
	return own
}

// owns tells whether a process is k3s's by what it runs: a program from k3s's
// data folder, a shim of its containerd, or a container on its images. The
// same paths in another container or machine in miniature are not meant.
func (c *Cleaner) owns(p proc) bool {
	data := resolve(c.cfg.DataDir)
	if below(p.rootUpper, filepath.Join(data, "agent/containerd")) {
		return true // a container whose shim is gone
	}
	if !p.sameMounts || len(p.argv) == 0 {
		return false
	}
	program := strings.TrimSuffix(p.exe, " (deleted)")
	if below(program, filepath.Join(data, "data")) || below(p.argv[0], filepath.Join(data, "data")) {
		return true
	}
	if !strings.HasPrefix(filepath.Base(p.argv[0]), "containerd-shim") {
		return false
	}
	if slices.Contains(p.env, "K3S_DATA_DIR="+c.cfg.DataDir) {
		return true
	}
	for i, arg := range p.argv[:len(p.argv)-1] {
		if arg == "-address" && p.argv[i+1] == socketPath {
			return true
		}
	}
	return false
}

func (p proc) title() string {
	name := "?"
	if len(p.argv) > 0 {
		name = filepath.Base(p.argv[0])
	}
	return fmt.Sprintf("%d %s", p.pid, name)
}

func titles(own []proc) string {
	names := make([]string, len(own))
	for i, p := range own {
		names[i] = p.title()
	}
	return strings.Join(names, ", ")
}

// readProcesses reads all that lives. What ends meanwhile is left out.
func readProcesses() ([]proc, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	var all []proc
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, alive := readProcess(pid, ours); alive {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

func readProcess(pid int, ourMounts string) (proc, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return proc{}, false
	}
	_, rest, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(" "))
	fields := strings.Fields(string(rest)) // state, parent, ...
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return proc{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return proc{}, false
	}
	p := proc{pid: pid, parent: parent}
	// A process that ends between these reads has empty answers and is nobody's.
	p.argv = readList(filepath.Join(dir, "cmdline"))
	p.env = readList(filepath.Join(dir, "environ"))
	p.exe, _ = os.Readlink(filepath.Join(dir, "exe"))
	namespace, _ := os.Readlink(filepath.Join(dir, "ns/mnt"))
	p.sameMounts = namespace == ourMounts
	if !p.sameMounts && namespace != "" {
		data, _ := os.ReadFile(filepath.Join(dir, "mountinfo"))
		p.rootUpper = rootUpper(data)
	}
	return p, true
}

// readList reads a file of texts that each end with a zero byte.
func readList(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

// rootUpper returns the upper folder of the overlay that is mounted at /.
func rootUpper(mountinfo []byte) string {
	mounts, err := parseMounts(mountinfo)
	if err != nil {
		return ""
	}
	for _, m := range mounts {
		if m.point != "/" || m.fstype != "overlay" {
			continue
		}
		for option := range strings.SplitSeq(m.options, ",") {
			if upper, ok := strings.CutPrefix(option, "upperdir="); ok {
				return unescape(upper)
			}
		}
	}
	return ""
}
