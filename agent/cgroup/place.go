package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits bound what all builds together may take.
type Limits struct {
	CPUs   float64 // cores
	Memory int64   // bytes, of the steps; the daemon has its own
}

// Config says where builds run.
type Config struct {
	Dir    string       // the daemon's state; what is mounted below it is the daemon's
	Record string       // file that names the control groups made; below /run, as they are gone after a reboot too
	Unit   string       // systemd's service of the daemon, whose group it is; "" makes one below this process's own
	Limits Limits       // for Admit only
	Logger *slog.Logger // default: none
}

// Place is the folder and the control groups that the daemon and the steps of
// builds are in. The daemon has a group beside that of all steps, so that a
// step which takes all memory is killed, and not the daemon. It is safe for
// concurrent use.
type Place struct {
	cfg Config

	mu        sync.Mutex // guards what follows
	admitted  int        // process id of the daemon that was put into its group last
	unlimited error      // why there are no limits
}

// The groups below the place's own.
const (
	ownName    = "hks-build"
	daemonName = "daemon"
	stepsName  = "steps"
)

// What the daemon may take, and how little builds count beside everything else.
const (
	daemonMemory = 512 << 20 // bytes
	cpuShares    = "64"      // of 1024, version 1
	cpuWeight    = "6"       // of 100, version 2
	ioWeight     = "10"      // of 100
	maxTasks     = "4096"    // processes and threads of all steps
	niceness     = 19
)

// New checks the settings.
func New(cfg Config) (*Place, error) {
	if cfg.Dir == "" || cfg.Record == "" {
		return nil, errors.New("a place for builds needs a folder and a record")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Place{cfg: cfg}, nil
}

// Parent is the group below which the daemon makes the groups of steps, as
// seen from each hierarchy's mount point; "" where there are no control groups.
func (p *Place) Parent() string {
	_, group, err := p.settle()
	if err != nil {
		return ""
	}
	return filepath.Join(group, stepsName)
}

// settle is find for who is about to use the groups. Version 2 hands no
// controllers down from a group with processes in it, such as this process's
// own may be, and there steps are better without groups than unable to run.
func (p *Place) settle() ([]hierarchy, string, error) {
	all, group, err := p.find()
	if err != nil || p.cfg.Unit != "" {
		return all, group, err
	}
	first, err := primary(all)
	if err != nil || !first.unified {
		return all, group, err
	}
	own := filepath.Join(first.point, group)
	if err := p.makeGroup(first, own); err != nil {
		return nil, "", err
	}
	handDown(filepath.Dir(own))
	for _, file := range []string{"memory.max", "cpu.max"} {
		if _, err := os.Stat(filepath.Join(own, file)); err != nil {
			return nil, "", fmt.Errorf("the control group %s does not hand its controllers down", filepath.Dir(group))
		}
	}
	return all, group, nil
}

// handDown has the groups below one of version 2 get its controllers. What it
// can't hand down is missing there, where it shows.
func handDown(dir string) {
	for _, controller := range []string{"cpu", "memory", "pids", "io"} {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
	}
}

// find returns the hierarchies and the place's own group in them. One that
// was made for an earlier agent stays in use.
func (p *Place) find() ([]hierarchy, string, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, "", err
	}
	first, err := primary(all)
	if err != nil {
		return nil, "", err
	}
	for _, dir := range p.recorded() {
		if group, ok := strings.CutPrefix(dir, first.point+"/"); ok && filepath.Base(dir) == stepsName && isDir(dir) {
			return all, "/" + filepath.Dir(group), nil
		}
	}
	if p.cfg.Unit != "" {
		first = followed(all, first)
	}
	own, err := ownGroup(first)
	if err != nil {
		return nil, "", err
	}
	if p.cfg.Unit != "" {
		return all, filepath.Join(filepath.Dir(own), p.cfg.Unit), nil // the agent is a unit beside it
	}
	return all, filepath.Join(own, ownName), nil
}

// Admit puts a daemon that was just started into its group, makes the groups
// when they are missing, and lowers its priority. Where the machine does not
// allow groups the daemon runs without; Unlimited tells.
func (p *Place) Admit(pid int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admitted == pid {
		return nil
	}
	// A group of processes, not one: this is for all threads that there are.
	if err := unix.Setpriority(unix.PRIO_PGRP, pid, niceness); err != nil {
		return fmt.Errorf("lowering the builder's priority: %w", err)
	}
	if p.unlimited = p.admit(pid); p.unlimited != nil {
		p.cfg.Logger.Warn("builds run without limits", "error", p.unlimited)
	}
	p.admitted = pid
	return nil
}

// Unlimited tells why builds have no limits; nil when they have.
func (p *Place) Unlimited() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unlimited
}

func (p *Place) admit(pid int) error {
	all, group, err := p.settle()
	if err != nil {
		return err
	}
	first, err := primary(all)
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := p.enter(h, group, pid, first.unified); err != nil {
			return fmt.Errorf("making the builder's control group: %w", err)
		}
	}
	return nil
}

// enter makes the groups in one hierarchy and puts the daemon there. Where
// both versions are mounted, version 1 has what counts.
func (p *Place) enter(h hierarchy, group string, pid int, unified bool) error {
	own := filepath.Join(h.point, group)
	daemon, steps := filepath.Join(own, daemonName), filepath.Join(own, stepsName)
	for _, dir := range []string{own, daemon, steps} {
		if err := p.makeGroup(h, dir); err != nil {
			return err
		}
	}
	// Version 2 hands controllers down only where no process is, so the daemon
	// moves first.
	if err := os.WriteFile(filepath.Join(daemon, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		return err
	}
	switch {
	case !h.unified:
		return p.limit(h, own, daemon, steps)
	case unified:
		return p.limitUnified(own, daemon, steps)
	}
	return nil
}

// limit writes version 1's limits.
func (p *Place) limit(h hierarchy, own, daemon, steps string) error {
	limits := p.cfg.Limits
	var failed []error
	if h.has("cpu") {
		failed = append(failed,
			write(own, "cpu.cfs_period_us", strconv.Itoa(period)),
			write(own, "cpu.cfs_quota_us", strconv.Itoa(int(limits.CPUs*period))),
			write(own, "cpu.shares", cpuShares))
	}
	if h.has("memory") {
		failed = append(failed, limitMemory(daemon, daemonMemory), limitMemory(steps, limits.Memory))
	}
	if h.has("pids") {
		failed = append(failed, write(steps, "pids.max", maxTasks))
	}
	if h.has("blkio") {
		for _, file := range []string{"blkio.weight", "blkio.bfq.weight"} { // as the disk's scheduler has it
			failed = append(failed, writeIfKnown(own, file, ioWeight))
		}
	}
	return errors.Join(failed...)
}

// UnitOptions are the same limits in systemd's words, for the daemon's unit as
// a whole.
func (p *Place) UnitOptions() map[string]string {
	return map[string]string{
		"CPUQuota":  strconv.Itoa(int(p.cfg.Limits.CPUs*100)) + "%",
		"CPUWeight": cpuWeight,
		"IOWeight":  ioWeight,
		"MemoryMax": strconv.FormatInt(p.cfg.Limits.Memory+daemonMemory, 10),
		"TasksMax":  "infinity", // the steps have a limit of their own
	}
}

// period of the limit on processor time, in microseconds.
const period = 100_000

// limitMemory bounds memory and, where that is counted, memory and swap
// together, which is never below memory alone.
func limitMemory(dir string, bytes int64) error {
	value := strconv.FormatInt(bytes, 10)
	return errors.Join(
		writeIfKnown(dir, "memory.memsw.limit_in_bytes", "-1"),
		write(dir, "memory.limit_in_bytes", value),
		writeIfKnown(dir, "memory.memsw.limit_in_bytes", value),
	)
}

// limitUnified hands the controllers on and writes version 2's limits.
func (p *Place) limitUnified(own, daemon, steps string) error {
	limits := p.cfg.Limits
	handDown(own)
	return errors.Join(
		write(own, "cpu.max", fmt.Sprintf("%d %d", int(limits.CPUs*period), period)),
		write(own, "cpu.weight", cpuWeight),
		writeIfKnown(own, "io.weight", ioWeight),
		write(daemon, "memory.max", strconv.Itoa(daemonMemory)),
		write(steps, "memory.max", strconv.FormatInt(limits.Memory, 10)),
		writeIfKnown(steps, "memory.swap.max", "0"),
		write(steps, "pids.max", maxTasks),
	)
}

// makeGroup makes a group and those above it, each recorded before it is made.
func (p *Place) makeGroup(h hierarchy, dir string) error {
	var missing []string
	for d := dir; d != h.point && !isDir(d); d = filepath.Dir(d) {
		missing = append(missing, d)
	}
	slices.Reverse(missing)
	if err := p.record(missing); err != nil {
		return err
	}
	for _, d := range missing {
		if err := os.Mkdir(d, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A new group of processors is empty, and takes no process before it
		// has these.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(d), file))
			if err == nil && h.has("cpuset") {
				if err := os.WriteFile(filepath.Join(d, file), value, 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// record adds groups to the record.
func (p *Place) record(dirs []string) error {
	all := p.recorded()
	before := len(all)
	for _, dir := range dirs {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	if len(all) == before {
		return nil
	}
	if err := p.write(strings.Join(all, "\n") + "\n"); err != nil {
		return fmt.Errorf("recording control groups: %w", err)
	}
	return nil
}

// write replaces the record.
func (p *Place) write(text string) error {
	if err := os.MkdirAll(filepath.Dir(p.cfg.Record), 0o755); err != nil {
		return err
	}
	temp := p.cfg.Record + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, p.cfg.Record)
}

// recorded are the groups that were made, in that order.
func (p *Place) recorded() []string {
	text, err := os.ReadFile(p.cfg.Record)
	if err != nil {
		return nil // none were made
	}
	return strings.Fields(string(text))
}

// Clear ends steps that outlived their daemon, and takes its mounts away. No
// daemon may run.
func (p *Place) Clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), clearLimit)
	defer cancel()
	return errors.Join(p.kill(ctx), p.unmount(ctx))
}

func write(dir, file, value string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
}

// writeIfKnown writes what some kernels do not have.
func writeIfKnown(dir, file, value string) error {
	if err := write(dir, file, value); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
