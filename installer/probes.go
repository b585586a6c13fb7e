package installer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/k3s"
	"hks.dev/hks/agent/systemd"
)

// What a machine must have, and should have.
const (
	minMemory  = 1800 << 20 // 2 GB less what the kernel keeps
	goodMemory = 3800 << 20
	minDisk    = 4 << 30
	goodDisk   = 20 << 30
)

// probeCommands looks for what the kubelet and a clean removal run.
func (m *machine) probeCommands(context.Context) (Finding, error) {
	var missing []string
	for _, name := range []string{"mount", "umount"} {
		if lookPath(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Finding{Level: Block, Message: "commands are missing: " + strings.Join(missing, ", "), Fix: "install them, on Debian: apt-get install mount"}, nil
	}
	if lookPath("iptables") == "" && lookPath("nft") == "" {
		return Finding{Level: Block, Message: "neither iptables nor nft is installed", Fix: "install one, on Debian: apt-get install iptables nftables"}, nil
	}
	return Finding{Level: OK, Message: "all that is needed"}, nil
}

// probeVolumes looks for what volumes are made with; without it apps and
// services that keep nothing on disk run all the same.
func (m *machine) probeVolumes(context.Context) (Finding, error) {
	var missing []string
	for _, name := range []string{"mkfs.ext4", "e2fsck", "resize2fs"} {
		if lookPath(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Finding{Level: Warning, Message: "no volume can be made, commands are missing: " + strings.Join(missing, ", "), Fix: "install them, on Debian: apt-get install e2fsprogs"}, nil
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return Finding{Level: Warning, Message: "no volume can be made: there are no loop devices", Fix: "load the kernel's module with modprobe loop; in a container, let it have /dev/loop-control and loop devices"}, nil
	}
	return Finding{Level: OK, Message: "loop devices and e2fsprogs are there"}, nil
}

// lookPath finds a command where root's path may not lead.
func lookPath(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().Perm()&0o111 != 0 {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// neededControllers are what the kubelet refuses to start without.
var neededControllers = []string{"cpu", "cpuset", "memory", "pids"}

func (m *machine) probeCgroups(context.Context) (Finding, error) {
	have, version, err := controllers()
	if err != nil {
		return Finding{}, err
	}
	var missing []string
	for _, name := range neededControllers {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Finding{
			Level: Block, Message: fmt.Sprintf("control groups (%s) lack: %s", version, strings.Join(missing, ", ")),
			Fix: "enable them on the kernel's command line, for example cgroup_enable=memory, and reboot",
		}, nil
	}
	if version == "v1" {
		return Finding{
			Level: Warning, Message: "control groups are of version 1, which Kubernetes has given up",
			Fix: "boot with systemd.unified_cgroup_hierarchy=1; where that can't be, the released k3s needs --extra kubelet-arg=fail-cgroupv1=false",
		}, nil
	}
	return Finding{Level: OK, Message: "version 2 with all controllers"}, nil
}

// controllers lists the controllers that can be used, cgroups(7).
func controllers() ([]string, string, error) {
	data, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err == nil {
		return strings.Fields(string(data)), "v2", nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	data, err = os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, "", err
	}
	var have []string
	for line := range strings.Lines(string(data)) {
		if _, fields, ok := strings.Cut(line, " - cgroup "); ok {
			for option := range strings.FieldsFuncSeq(fields, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
				have = append(have, option)
			}
		}
	}
	return have, "v1", nil
}

func (m *machine) probeOverlay(context.Context) (Finding, error) {
	data, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return Finding{}, err
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return Finding{}, err
	}
	release := unix.ByteSliceToString(kernel.Release[:])
	modules, err := filepath.Glob("/lib/modules/" + release + "/kernel/fs/overlayfs/overlay.ko*")
	if err != nil {
		return Finding{}, err
	}
	if !strings.Contains(string(data), "\toverlay\n") && len(modules) == 0 {
		return Finding{Level: Block, Message: "the kernel has no overlay file system", Fix: "use a kernel with CONFIG_OVERLAY_FS"}, nil
	}
	return Finding{Level: OK, Message: "the kernel has it"}, nil
}

func (m *machine) probeMemory(context.Context) (Finding, error) {
	bytes, err := totalMemory()
	if err != nil {
		return Finding{}, err
	}
	return amount("memory", bytes, minMemory, goodMemory, "give the machine more memory"), nil
}

// totalMemory is what the machine has, in bytes.
func totalMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, err
		}
		return kib << 10, nil
	}
	return 0, errors.New("/proc/meminfo has no MemTotal")
}

func (m *machine) probeDisk(context.Context) (Finding, error) {
	dir := m.paths.K3sData()
	for !exists(dir) && dir != "/" {
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Finding{}, err
	}
	return amount("free space for "+m.paths.K3sData(), int64(st.Bavail)*st.Bsize, minDisk, goodDisk, "free some space, or mount a larger disk there"), nil
}

// amount compares what there is with what must and what should be.
func amount(what string, have, must, should int64, fix string) Finding {
	f := Finding{Level: OK, Message: fmt.Sprintf("%s: %.1f GiB", what, gib(have)), Fix: fix}
	switch {
	case have < must:
		f.Level = Block
		f.Message += fmt.Sprintf(", at least %.1f GiB are needed", gib(must))
	case have < should:
		f.Level = Warning
		f.Message += fmt.Sprintf(", %.1f GiB are advised", gib(should))
	default:
		f.Fix = ""
	}
	return f
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func (m *machine) probeHostName(context.Context) (Finding, error) {
	name := m.settings.K3s.NodeName
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return Finding{}, err
		}
		name = strings.ToLower(host)
	}
	if err := agent.ValidateHost(name); err != nil {
		return Finding{
			Level: Block, Message: fmt.Sprintf("%q can't be the name of a node", name),
			Fix: "rename the machine, or set k3s.nodeName in " + m.paths.ConfigFile(),
		}, nil
	}
	return Finding{Level: OK, Message: name}, nil
}

// probeClusters looks for another Kubernetes that would be in the way.
func (m *machine) probeClusters(own []int) (Finding, error) {
	for _, unit := range []string{"k3s", "k3s-agent", "rke2-server", "rke2-agent"} {
		file := "/etc/systemd/system/" + unit + ".service"
		if exists(file) {
			return Finding{Level: Block, Message: "another cluster is installed: " + file, Fix: "uninstall it first, for k3s with k3s-uninstall.sh"}, nil
		}
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return Finding{}, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return Finding{}, err
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		name := commandName(dir)
		if !slices.Contains([]string{"k3s", "k3s-server", "k3s-agent", "rke2", "kubelet"}, name) {
			continue
		}
		// A container's own processes, and those of hks, are not meant.
		if theirs, err := os.Readlink(dir + "/ns/mnt"); err != nil || theirs != ours || descends(pid, own) {
			continue
		}
		return Finding{
			Level: Block, Message: fmt.Sprintf("another cluster runs: %s (pid %d)", name, pid),
			Fix: "stop and uninstall it, or run hks-installer down if it is a leftover of hks",
		}, nil
	}
	return Finding{Level: OK, Message: "none"}, nil
}

// commandName is the base of the first word of a process's command line.
func commandName(dir string) string {
	data, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return ""
	}
	word, _, _ := bytes.Cut(data, []byte{0})
	first, _, _ := strings.Cut(string(word), " ") // k3s sets its title to words with spaces
	return filepath.Base(first)
}

// descends tells whether a process is one of, or descends from one of, roots.
func descends(pid int, roots []int) bool {
	for range 100 { // a chain of parents is never as long
		if slices.Contains(roots, pid) {
			return true
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 2 {
			return false
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil || parent <= 1 {
			return false
		}
		pid = parent
	}
	return false
}

// heldBySystemd tells whether systemd holds the port for hks.
func (m *machine) heldBySystemd(p port, holder int) (bool, error) {
	if holder != 1 || p.address == "" || !m.bySystemd() {
		return false, nil
	}
	stream, ok := systemd.ListenStream(p.address)
	if !ok {
		return false, nil
	}
	for _, name := range []string{systemd.AgentUnit, systemd.GatewayUnit} {
		text, err := os.ReadFile(filepath.Join(systemd.Folder, systemd.SocketOf(name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == "ListenStream="+stream {
				return true, nil
			}
		}
	}
	return false, nil
}

func (m *machine) probePort(p port, own []int) (Finding, error) {
	holder, err := k3s.PortHolder(p.number)
	if err != nil {
		return Finding{}, err
	}
	if holder == nil {
		return Finding{Level: OK, Message: "free, for " + p.what}, nil
	}
	held, err := m.heldBySystemd(p, holder.PID)
	if err != nil {
		return Finding{}, err
	}
	if held || descends(holder.PID, own) {
		return Finding{Level: OK, Message: "held by hks"}, nil
	}
	fix := fmt.Sprintf("stop that process (ss -ltnp 'sport = :%d' shows it)", p.number)
	if p.key != "" {
		fix += fmt.Sprintf(", or set %s in %s to a free one", p.key, m.paths.ConfigFile())
	}
	return Finding{Level: Block, Message: fmt.Sprintf("port %d, which %s needs, is in use by %s", p.number, p.what, holder), Fix: fix}, nil
}
