package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// hierarchy is a mounted tree of control groups, cgroups(7). Version 1 has
// one for each controller, version 2 a single one.
type hierarchy struct {
	point       string   // where it is mounted
	controllers []string // of version 1
	unified     bool     // version 2
}

func (h hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

// hierarchies lists what is mounted, each once.
func hierarchies() ([]hierarchy, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("looking for control groups: %w", err)
	}
	var all []hierarchy
	seen := map[[2]int]bool{}
	for _, m := range mounts {
		device := [2]int{m.Major, m.Minor}
		if seen[device] {
			continue
		}
		seen[device] = true
		all = append(all, hierarchy{point: m.Mountpoint, controllers: strings.Split(m.VFSOptions, ","), unified: m.FSType == "cgroup2"})
	}
	return all, nil
}

// primary is the hierarchy whose paths count: that of memory, or version 2's.
func primary(all []hierarchy) (hierarchy, error) {
	for _, h := range all {
		if h.has("memory") {
			return h, nil
		}
	}
	for _, h := range all {
		if h.unified && slices.Contains(available(h), "memory") {
			return h, nil
		}
	}
	return hierarchy{}, fmt.Errorf("no control groups for memory are mounted")
}

// followed is the hierarchy by which systemd follows its services.
func followed(all []hierarchy, otherwise hierarchy) hierarchy {
	for _, h := range all {
		if h.has("name=systemd") {
			return h
		}
	}
	return otherwise
}

// available lists the controllers of a version 2 hierarchy; none when all of
// them are taken by version 1.
func available(h hierarchy) []string {
	text, err := os.ReadFile(filepath.Join(h.point, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// ownGroup is this process's group in the hierarchy, as /proc/self/cgroup has it.
func ownGroup(h hierarchy) (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("looking for the own control group: %w", err)
	}
	return groupIn(text, h), nil
}

func groupIn(membership []byte, h hierarchy) string {
	for line := range bytes.Lines(membership) {
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) != 3 {
			continue
		}
		controllers := strings.Split(fields[1], ",")
		if h.unified && fields[0] == "0" || !h.unified && slices.ContainsFunc(controllers, func(c string) bool { return c != "" && h.has(c) }) {
			if strings.HasPrefix(fields[2], "/..") { // outside of what is mounted here
				return "/"
			}
			return fields[2]
		}
	}
	return "/"
}
