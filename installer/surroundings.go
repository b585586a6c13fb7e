package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// surroundings are what the probes of this file look at. Tests give them a
// folder instead of the machine's root, and a clock of their own.
type surroundings struct {
	root    string // before /proc, /sys and /etc
	arch    string
	cpus    int
	environ []string
	now     time.Time
	built   time.Time // when this program was made
	// networks are the machine's own, by interface.
	networks func() (map[string][]netip.Prefix, error)
	// resolve asks the machine's name servers something that they all know.
	resolve func(context.Context) error
	// synchronised tells whether something keeps the clock right.
	synchronised func() (bool, error)
	// writable returns why nothing can be written to a folder, or nil.
	writable func(dir string) error
}

// around are the real ones.
func (m *machine) around() surroundings {
	s := surroundings{
		root: "/", arch: runtime.GOARCH, cpus: runtime.NumCPU(), environ: m.cfg.Environ, now: time.Now(),
		networks: interfaceNetworks, resolve: askNameServers, synchronised: clockIsKept,
		writable: func(dir string) error { return unix.Access(dir, unix.W_OK) },
	}
	if self, err := os.Executable(); err == nil {
		if info, err := os.Stat(self); err == nil {
			s.built = info.ModTime()
		}
	}
	return s
}

func interfaceNetworks() (map[string][]netip.Prefix, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	all := map[string][]netip.Prefix{}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, address := range addresses {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil {
				all[i.Name] = append(all[i.Name], prefix.Masked())
			}
		}
	}
	return all, nil
}

// nameServerLimit bounds the question whether names can be looked up.
const nameServerLimit = 4 * time.Second

func askNameServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nameServerLimit)
	defer cancel()
	_, err := net.DefaultResolver.LookupNS(ctx, ".")
	return err
}

func clockIsKept() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR, err
}

func (s surroundings) read(path string) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.root, path))
	return string(data), err
}

// readOptional is read for files that need not be there.
func (s surroundings) readOptional(path string) (string, error) {
	text, err := s.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

func (s surroundings) there(path string) bool { return exists(filepath.Join(s.root, path)) }

// minCPUs is what Kubernetes and a build need beside each other.
const minCPUs = 2

func (s surroundings) probeProcessor(context.Context) (Finding, error) {
	if s.arch != "amd64" && s.arch != "arm64" {
		return Finding{Level: Block, Message: "there is no hks for processors of the kind " + s.arch, Fix: "use a machine with an amd64 or arm64 processor"}, nil
	}
	if s.cpus < minCPUs {
		return Finding{Level: Block, Message: fmt.Sprintf("there is %d processor, %d are needed", s.cpus, minCPUs), Fix: "give the machine more processors"}, nil
	}
	return Finding{Level: OK, Message: fmt.Sprintf("%d of kind %s", s.cpus, s.arch)}, nil
}

// minKernel is the oldest kernel on which all that is used is there.
var minKernel = [2]int{5, 4}

func (s surroundings) probeKernel(context.Context) (Finding, error) {
	text, err := s.read("proc/sys/kernel/osrelease")
	if err != nil {
		return Finding{}, err
	}
	release := strings.TrimSpace(text)
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return Finding{}, fmt.Errorf("the kernel calls itself %q", release)
	}
	if major < minKernel[0] || (major == minKernel[0] && minor < minKernel[1]) {
		return Finding{Level: Block, Message: fmt.Sprintf("the kernel is %s, at least %d.%d is needed", release, minKernel[0], minKernel[1]), Fix: "upgrade the system and reboot"}, nil
	}
	var missing []string
	for module, sign := range map[string]string{"br_netfilter": "proc/sys/net/bridge", "nf_conntrack": "proc/sys/net/netfilter/nf_conntrack_max"} {
		if !s.there(sign) && !s.hasModule(release, module) {
			missing = append(missing, module)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return Finding{
			Level: Warning, Message: fmt.Sprintf("the kernel %s does not show the modules %s; services may not be reached", release, strings.Join(missing, ", ")),
			Fix: "load them: modprobe " + strings.Join(missing, " ") + "; a virtual machine may need its kernel's package of extra modules",
		}, nil
	}
	return Finding{Level: OK, Message: release}, nil
}

// hasModule tells whether the kernel could load a module, or has it built in.
func (s surroundings) hasModule(release, name string) bool {
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		text, err := s.readOptional(filepath.Join("lib/modules", release, list))
		if err == nil && (strings.Contains(text, "/"+name+".ko") || strings.Contains(text, "/"+strings.ReplaceAll(name, "_", "-")+".ko")) {
			return true
		}
	}
	return false
}

// clockSlack is how much before this program's making the clock may be.
const clockSlack = 24 * time.Hour

func (s surroundings) probeClock(context.Context) (Finding, error) {
	const fix = "set the clock and keep it right, on Debian: apt-get install systemd-timesyncd && timedatectl set-ntp true"
	if !s.built.IsZero() && s.now.Before(s.built.Add(-clockSlack)) {
		return Finding{
			Level: Block, Message: fmt.Sprintf("the clock says %s, which is before this program was made (%s): certificates would not be valid", s.now.UTC().Format(time.DateOnly), s.built.UTC().Format(time.DateOnly)),
			Fix: fix,
		}, nil
	}
	kept, err := s.synchronised()
	if err != nil {
		return Finding{}, err
	}
	if !kept {
		return Finding{Level: Warning, Message: "nothing keeps the clock right; machines that join, and certificates, need it", Fix: fix}, nil
	}
	return Finding{Level: OK, Message: "is kept right"}, nil
}

// probeRoute looks for what k3s finds the machine's address by.
func (s surroundings) probeRoute(nodeIP bool) (Finding, error) {
	v4, err := s.readOptional("proc/net/route")
	if err != nil {
		return Finding{}, err
	}
	v6, err := s.readOptional("proc/net/ipv6_route")
	if err != nil {
		return Finding{}, err
	}
	for line := range strings.Lines(v4) {
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return Finding{Level: OK, Message: "by " + f[0]}, nil
		}
	}
	for line := range strings.Lines(v6) {
		if f := strings.Fields(line); len(f) > 9 && strings.Trim(f[0], "0") == "" && f[1] == "00" && f[9] != "lo" {
			return Finding{Level: OK, Message: "by " + f[9]}, nil
		}
	}
	if nodeIP {
		return Finding{Level: OK, Message: "there is none, and k3s.extra.node-ip says the address"}, nil
	}
	return Finding{Level: Block, Message: "there is no default route, by which Kubernetes finds the machine's address", Fix: "add one (ip route add default via ROUTER), or set k3s.extra.node-ip to the machine's address"}, nil
}

// probeNetworks looks whether the cluster's networks are already someone's.
func (s surroundings) probeNetworks(cluster []netip.Prefix) (Finding, error) {
	all, err := s.networks()
	if err != nil {
		return Finding{}, err
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "cni0" || strings.HasPrefix(name, "flannel") || strings.HasPrefix(name, "kube-") {
			continue // the cluster's own
		}
		for _, prefix := range all[name] {
			for _, own := range cluster {
				if prefix.Overlaps(own) && prefix.Bits() > 0 {
					return Finding{
						Level: Block, Message: fmt.Sprintf("the network %s of %s overlaps with the cluster's %s", prefix, name, own),
						Fix: "set k3s.extra.cluster-cidr and service-cidr to networks that nothing here uses",
					}, nil
				}
			}
		}
	}
	return Finding{Level: OK, Message: "the cluster's are free"}, nil
}

func (s surroundings) probeNames(ctx context.Context) (Finding, error) {
	text, err := s.readOptional("etc/resolv.conf")
	if err != nil {
		return Finding{}, err
	}
	const fix = "name one that answers in /etc/resolv.conf; without internet nothing needs it but apps that look up names"
	if !strings.Contains("\n"+text, "\nnameserver ") {
		return Finding{Level: Warning, Message: "there is no name server in /etc/resolv.conf", Fix: fix}, nil
	}
	if err := s.resolve(ctx); err != nil {
		return Finding{Level: Warning, Message: "no name server answers: " + err.Error(), Fix: fix}, nil
	}
	return Finding{Level: OK, Message: "names can be looked up"}, nil
}

// probeWritable looks whether the places of hks can be written to.
func (s surroundings) probeWritable(dirs ...string) (Finding, error) {
	for _, dir := range dirs {
		for !exists(dir) && dir != "/" {
			dir = filepath.Dir(dir)
		}
		switch err := s.writable(dir); {
		case errors.Is(err, unix.EROFS):
			return Finding{
				Level: Block, Message: dir + " is read-only, and programs and units have to be there",
				Fix: "mount it writable (mount -o remount,rw), or put all of hks elsewhere by --root FOLDER, for example /opt/hks",
			}, nil
		case err != nil && os.Geteuid() == 0:
			return Finding{Level: Block, Message: fmt.Sprintf("%s can't be written to: %v", dir, err), Fix: "find out what protects it (lsattr, mount), or use --root FOLDER"}, nil
		}
	}
	return Finding{Level: OK, Message: "can be written to"}, nil
}

func (s surroundings) probeSwap(context.Context) (Finding, error) {
	text, err := s.readOptional("proc/swaps")
	if err != nil {
		return Finding{}, err
	}
	if strings.Count(strings.TrimSpace(text), "\n") > 0 {
		return Finding{Level: Warning, Message: "there is swap: apps at their memory limit get slow instead of ending", Fix: "swapoff -a, and take it out of /etc/fstab"}, nil
	}
	return Finding{Level: OK, Message: "there is none"}, nil
}

// probeFirewall looks for programs whose rules know nothing of pods.
func (s surroundings) probeFirewall(context.Context) (Finding, error) {
	ufw, err := s.readOptional("etc/ufw/ufw.conf")
	if err != nil {
		return Finding{}, err
	}
	const fix = "let it pass the ports of the gateway and the API, and all from and to 10.42.0.0/16 and 10.43.0.0/16"
	switch {
	case strings.Contains(ufw, "\nENABLED=yes") || strings.HasPrefix(ufw, "ENABLED=yes"):
		return Finding{Level: Warning, Message: "the firewall ufw is on: it may keep pods from each other, and people from the gateway", Fix: fix}, nil
	case s.there("run/firewalld/") || s.there("run/dbus/system.d/firewalld"):
		return Finding{Level: Warning, Message: "the firewall firewalld is on: it may keep pods from each other, and people from the gateway", Fix: fix}, nil
	}
	return Finding{Level: OK, Message: "none that hks knows is on"}, nil
}

func (s surroundings) probeSELinux(context.Context) (Finding, error) {
	text, err := s.readOptional("sys/fs/selinux/enforce")
	if err != nil {
		return Finding{}, err
	}
	if strings.TrimSpace(text) == "1" {
		return Finding{Level: Warning, Message: "SELinux is enforcing, and hks sets no labels: containers may be refused their files", Fix: "install k3s-selinux, or make it permissive (setenforce 0)"}, nil
	}
	return Finding{Level: OK, Message: "is not enforcing"}, nil
}

// The kernel's bounds on watches of files, which each container adds to.
const (
	goodInstances = 128
	goodWatches   = 8192
)

func (s surroundings) probeWatches(context.Context) (Finding, error) {
	for name, good := range map[string]int{"max_user_instances": goodInstances, "max_user_watches": goodWatches} {
		text, err := s.read("proc/sys/fs/inotify/" + name)
		if err != nil {
			return Finding{}, err
		}
		have, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return Finding{}, err
		}
		if have < good {
			return Finding{Level: Warning, Message: fmt.Sprintf("fs.inotify.%s is %d, %d are advised", name, have, good), Fix: fmt.Sprintf("sysctl -w fs.inotify.%s=%d, and write it to /etc/sysctl.d", name, good)}, nil
		}
	}
	return Finding{Level: OK, Message: "enough"}, nil
}

// probeProxy looks for a proxy that is half set.
func (s surroundings) probeProxy(context.Context) (Finding, error) {
	get := func(name string) string {
		if value := getenv(s.environ, name); value != "" {
			return value
		}
		return getenv(s.environ, strings.ToLower(name))
	}
	plain, secure, not := get("HTTP_PROXY"), get("HTTPS_PROXY"), get("NO_PROXY")
	switch {
	case plain == "" && secure == "":
		return Finding{Level: OK, Message: "none"}, nil
	case secure == "":
		return Finding{Level: Warning, Message: "HTTP_PROXY is set and HTTPS_PROXY is not: images and sources come by HTTPS", Fix: "set both, or none"}, nil
	case !strings.Contains(not, "10.42.") || !strings.Contains(not, "10.43."):
		return Finding{Level: Warning, Message: "a proxy is set, and NO_PROXY leaves out the cluster's own networks", Fix: "set NO_PROXY=127.0.0.0/8,10.42.0.0/16,10.43.0.0/16,.svc,.cluster.local and this machine's network"}, nil
	}
	return Finding{Level: OK, Message: secure}, nil
}

func (s surroundings) probeDocker(context.Context) (Finding, error) {
	if s.there("run/docker.sock") || s.there("var/run/docker.sock") {
		return Finding{Level: Warning, Message: "Docker runs here: it sets the policy of forwarded packets to drop", Fix: "uninstall it if nothing needs it: hks brings a builder and a container runtime"}, nil
	}
	return Finding{Level: OK, Message: "is not here"}, nil
}
