package node

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const capSysResource = 24

// machine is what the node adapts itself to.
type machine struct {
	cgroupV1    bool   // a hierarchy for each controller
	cgroupRoot  string // where this process tree may make control groups
	confined    bool   // no CAP_SYS_RESOURCE, or read-only kernel settings
	ip          string // the node's address
	mtu         int    // of the interface that has the address
	hasHugetlb  bool
	hasAppArmor bool
}

func lookAround(wantIP []string) (machine, error) {
	m := machine{
		cgroupV1:    !exists("/sys/fs/cgroup/cgroup.controllers"),
		cgroupRoot:  initCgroup(),
		confined:    !hasCapability(capSysResource) || !writable("/proc/sys/vm/overcommit_memory"),
		hasHugetlb:  exists("/sys/fs/cgroup/hugetlb"),
		hasAppArmor: exists("/sys/kernel/security/apparmor/profiles"),
	}
	var err error
	m.ip, m.mtu, err = address(wantIP)
	return m, err
}

// initCgroup is PID 1's control group: inside a container, or a test's own pid namespace, it isn't the root. A kubelet
// needs one path for all hierarchies, so where they differ it is the root.
func initCgroup() string {
	data, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		return "/"
	}
	root := ""
	for _, line := range strings.Split(string(data), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 || strings.HasPrefix(parts[1], "name=") {
			continue
		}
		path := filepath.Clean("/" + strings.TrimSuffix(parts[2], "/init.scope"))
		if root != "" && path != root {
			return "/"
		}
		root = path
	}
	if root == "" {
		return "/"
	}
	return root
}

func hasCapability(n uint) bool {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && mask&(1<<n) != 0
		}
	}
	return false
}

// address finds the node's address: the wanted one, or the one used towards the default route.
func address(want []string) (string, int, error) {
	ip := ""
	if len(want) > 0 {
		ip = want[0]
	} else if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil { // sends nothing
		ip = conn.LocalAddr().(*net.UDPAddr).IP.String()
		conn.Close()
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		return "", 0, err
	}
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || n.IP.To4() == nil || n.IP.IsLoopback() {
				continue
			}
			if ip == "" || n.IP.String() == ip {
				return n.IP.String(), i.MTU, nil
			}
		}
	}
	if ip != "" {
		return "", 0, fmt.Errorf("no interface has the address %s", ip)
	}
	return "", 0, fmt.Errorf("no interface with an IPv4 address; set node-ip")
}

// setKernel writes the settings a node needs; the ones that are read-only must be right already.
func setKernel() error {
	for name, value := range map[string]string{
		"net/ipv4/ip_forward":                 "1",
		"net/ipv4/conf/all/forwarding":        "1",
		"net/ipv4/conf/default/forwarding":    "1",
		"net/bridge/bridge-nf-call-iptables":  "1",
		"net/bridge/bridge-nf-call-ip6tables": "1",
	} {
		file := "/proc/sys/" + name
		if data, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(data)) == value {
			continue
		}
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil && !strings.HasSuffix(name, "ip6tables") {
			return fmt.Errorf("kernel setting %s: %w", name, err)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func writable(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
