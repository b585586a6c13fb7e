package hosts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// planVariable hands the plan to the process that becomes a host.
const planVariable = "HKS_TEST_HOST"

// plan is how a host is started.
type plan struct {
	Name, Base, Scratch, Bridge string
	Groups                      []string
	Share                       string // read at /srv/share
}

// plain are folders which are no overlay: containers' own overlays can't be on
// one. They stay over a reboot, as all of the host's disk does.
var plain = []string{"/var/lib/rancher", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/hks"}

// Main has to be called first by TestMain: a host begins as this program.
func Main() {
	text := os.Getenv(planVariable)
	if text == "" {
		return
	}
	err := become(text)
	fmt.Fprintln(os.Stderr, "starting a host:", err)
	os.Exit(1)
}

// become enters the control groups, mounts the host's disk in a mount
// namespace that ends with it, and turns into the host's container.
func become(text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if err := os.Unsetenv(planVariable); err != nil {
		return err
	}
	if err := enterGroups(p.Groups); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keeping mounts apart: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	root := filepath.Join(p.Scratch, "root")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/disk,workdir=%s/work", p.Base, p.Scratch, p.Scratch)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting the host's disk: %w", err)
	}
	nspawn, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		return err
	}
	args := []string{
		nspawn, "--quiet", "-D", root, "--machine=" + p.Name, "--register=no", "--keep-unit", "--network-bridge=" + p.Bridge,
		"--kill-signal=SIGRTMIN+3", "--capability=all", "--drop-capability=CAP_SYS_TIME", "--console=pipe",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--bind=/dev/fuse",
	}
	if p.Share != "" {
		args = append(args, "--bind-ro="+p.Share+":/srv/share")
	}
	for _, folder := range plain {
		args = append(args, "--bind="+filepath.Join(p.Scratch, "plain", folder)+":"+folder)
	}
	args = append(args, "--", "/hks-init")
	environ := []string{"PATH=" + os.Getenv("PATH"), "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network"}
	return syscall.Exec(nspawn, args, environ)
}
