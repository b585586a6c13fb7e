package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Folders of the machine that the sandbox sees, and writes to for itself alone.
var overlaid = []string{"/etc", "/var/lib", "/usr/local", "/opt"}

// Folders that are empty at first. They are plain folders on disk, because containers' own overlays can't be on one.
var fresh = []string{
	"/etc/rancher", "/etc/hks", "/etc/cni", "/var/log",
	"/var/lib/kubelet", "/var/lib/cni", "/var/lib/rancher", "/var/lib/hks", "/var/lib/containerd",
}

func makeMounts(p plan) error {
	// Nothing mounted here reaches the machine, and nothing from there comes in; among the sandbox's own containers it must spread.
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make-rprivate: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make-rshared: %w", err)
	}
	if err := dropClusterMounts(); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	if err := os.MkdirAll("/run/lock", 0o1777); err != nil {
		return err
	}
	for _, dir := range overlaid {
		if err := overlay(p.Scratch, dir); err != nil {
			return err
		}
	}
	all := fresh
	if p.Other {
		all = append(slices.Clone(fresh), "/usr/local") // over that of the place it was started from, where an appliance may be installed
	}
	for _, dir := range all {
		if err := bindFresh(p.Scratch, dir); err != nil {
			return err
		}
	}
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n%s\t%s\n", p.Network.host(), p.Hostname)
	if err := os.WriteFile("/etc/hosts", []byte(hosts), 0o644); err != nil {
		return err
	}
	return os.WriteFile("/etc/hostname", []byte(p.Hostname+"\n"), 0o644)
}

// dropClusterMounts takes those of a cluster away that runs where the sandbox was started from: a copy of each came
// along with the mount namespace, and what looks for leftovers would find it.
func dropClusterMounts() error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	for _, line := range slices.Backward(lines) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		for _, below := range []string{"/run/k3s/", "/run/netns/", "/var/lib/kubelet/", "/var/lib/rancher/"} {
			if strings.HasPrefix(fields[4], below) {
				if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
					return fmt.Errorf("unmounting %s: %w", fields[4], err)
				}
			}
		}
	}
	return nil
}

func overlay(scratch, dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	upper, work := filepath.Join(scratch, "upper", dir), filepath.Join(scratch, "work", dir)
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
	if err := unix.Mount("overlay", dir, "overlay", 0, data); err != nil {
		return fmt.Errorf("overlay on %s: %w", dir, err)
	}
	return nil
}

func bindFresh(scratch, dir string) error {
	own := filepath.Join(scratch, "fresh", dir)
	for _, d := range []string{own, dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(own, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
