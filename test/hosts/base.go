package hosts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// makeLimit bounds the making of a base.
const makeLimit = 10 * time.Minute

// included are the packages of a base: what a small server has, and what the
// stand-in engine runs (test/k3s/apt-packages).
var included = []string{
	"ca-certificates", "conntrack", "curl", "dbus", "e2fsprogs", "iproute2", "iptables", "kmod", "libpam-systemd", "libseccomp2", "mount",
	"nftables", "procps", "runc", "systemd", "systemd-sysv",
}

// Base returns the folder of a Debian release ("bookworm", "trixie"), made
// once for a recipe and kept below cache.
func Base(ctx context.Context, cache, release string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, makeLimit)
	defer cancel()
	recipe := strings.Join(append([]string{"3", release}, included...), " ")
	sum := sha256.Sum256([]byte(recipe))
	dir := filepath.Join(cache, "hosts", release+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making a base: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "making-")
	if err != nil {
		return "", fmt.Errorf("making a base: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // it was renamed, or is of no use
	root := filepath.Join(temp, "root")
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(included, ","), release, root, "http://deb.debian.org/debian")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a base: %w: %s", err, out)
	}
	for name, text := range map[string]string{
		"etc/machine-id": "", "etc/hostname": "host\n",
		"hks-init": initScript,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755), os.WriteFile(filepath.Join(root, name), []byte(text), 0o755)); err != nil {
			return "", fmt.Errorf("making a base: %w", err)
		}
	}
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return "", fmt.Errorf("making a base: %w", err)
	}
	if err := os.Symlink("/lib/systemd/system/systemd-networkd.service", filepath.Join(wants, "systemd-networkd.service")); err != nil {
		return "", fmt.Errorf("making a base: %w", err)
	}
	if err := os.Rename(root, dir); err != nil {
		if _, there := os.Stat(dir); there == nil {
			return dir, nil // made by another test meanwhile
		}
		return "", fmt.Errorf("making a base: %w", err)
	}
	return dir, nil
}

// initScript is a host's first process, before it becomes systemd: the
// control groups must be writable, or limits are ignored in silence, and
// mounts must spread among the host's own containers.
const initScript = `#!/bin/sh
for group in /sys/fs/cgroup/*; do
	[ -L "$group" ] || mount -o remount,rw,bind "$group" || true
done
mount -o remount,rw,bind /sys/fs/cgroup || true
mount --make-rshared /
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
for n in 0 1 2 3 4 5 6 7; do
	[ -e "/dev/loop$n" ] || mknod "/dev/loop$n" b 7 "$n"
done
[ -e /dev/kmsg ] || ln -s null /dev/kmsg
exec /lib/systemd/systemd
`
