package installer

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const sound = `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0
`

// soundMachine is a machine on which nothing is amiss.
func soundMachine(t *testing.T) surroundings {
	t.Helper()
	made := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := surroundings{
		root: t.TempDir(), arch: "amd64", cpus: 2, now: made.Add(time.Hour), built: made,
		networks: func() (map[string][]netip.Prefix, error) {
			return map[string][]netip.Prefix{"eth0": {netip.MustParsePrefix("192.168.1.0/24")}, "cni0": {netip.MustParsePrefix("10.42.0.0/24")}}, nil
		},
		resolve:      func(context.Context) error { return nil },
		synchronised: func() (bool, error) { return true, nil },
		writable:     func(string) error { return nil },
	}
	for name, text := range map[string]string{
		"proc/sys/kernel/osrelease": "6.1.0-18-amd64\n", "proc/sys/net/bridge/x": "", "proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
		"proc/net/route": sound, "etc/resolv.conf": "nameserver 192.168.1.1\n",
		"proc/swaps":                              "Filename Type Size Used Priority\n",
		"proc/sys/fs/inotify/max_user_instances":  "128\n",
		"proc/sys/fs/inotify/max_user_watches":    "65536\n",
		"lib/modules/4.4.0-1-amd64/modules.dep":   "",
		"lib/modules/6.1.0-18-amd64/modules.dep":  "kernel/net/bridge/br_netfilter.ko: \n",
		"lib/modules/6.1.0-18-amd64/modules.keep": "",
	} {
		lay(t, s, name, text)
	}
	return s
}

func lay(t *testing.T, s surroundings, name, text string) {
	t.Helper()
	file := filepath.Join(s.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestA91PreflightOfBrokenMachines(t *testing.T) {
	cluster := []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.43.0.0/16")}
	checks := map[string]func(surroundings) (Finding, error){
		"processor":  func(s surroundings) (Finding, error) { return s.probeProcessor(t.Context()) },
		"kernel":     func(s surroundings) (Finding, error) { return s.probeKernel(t.Context()) },
		"clock":      func(s surroundings) (Finding, error) { return s.probeClock(t.Context()) },
		"route":      func(s surroundings) (Finding, error) { return s.probeRoute(false) },
		"networks":   func(s surroundings) (Finding, error) { return s.probeNetworks(cluster) },
		"names":      func(s surroundings) (Finding, error) { return s.probeNames(t.Context()) },
		"folders":    func(s surroundings) (Finding, error) { return s.probeWritable("/usr/local/bin") },
		"swap":       func(s surroundings) (Finding, error) { return s.probeSwap(t.Context()) },
		"firewall":   func(s surroundings) (Finding, error) { return s.probeFirewall(t.Context()) },
		"SELinux":    func(s surroundings) (Finding, error) { return s.probeSELinux(t.Context()) },
		"watches":    func(s surroundings) (Finding, error) { return s.probeWatches(t.Context()) },
		"proxy":      func(s surroundings) (Finding, error) { return s.probeProxy(t.Context()) },
		"Docker":     func(s surroundings) (Finding, error) { return s.probeDocker(t.Context()) },
		"node-ip":    func(s surroundings) (Finding, error) { return s.probeRoute(true) },
		"many paths": func(s surroundings) (Finding, error) { return s.probeWritable("/etc", "/var/lib/nothing/there") },
	}
	for name, check := range checks {
		if f, err := check(soundMachine(t)); err != nil || f.Level != OK {
			t.Errorf("a sound machine: %s: %+v, %v", name, f, err)
		}
	}
	file := func(name, text string) func(*surroundings) {
		return func(s *surroundings) { lay(t, *s, name, text) }
	}
	tests := map[string]struct {
		breaks func(*surroundings)
		check  string
		level  Level
		says   string
	}{
		"one processor":              {func(s *surroundings) { s.cpus = 1 }, "processor", Block, "1 processor"},
		"another kind of processor":  {func(s *surroundings) { s.arch = "riscv64" }, "processor", Block, "riscv64"},
		"an old kernel":              {file("proc/sys/kernel/osrelease", "4.4.0-1-amd64\n"), "kernel", Block, "4.4.0"},
		"a module that lacks":        {func(s *surroundings) { _ = os.RemoveAll(filepath.Join(s.root, "proc/sys/net/netfilter")) }, "kernel", Warning, "nf_conntrack"},
		"a clock of years ago":       {func(s *surroundings) { s.now = s.built.AddDate(-2, 0, 0) }, "clock", Block, "2024-05-01"},
		"a clock that nobody keeps":  {func(s *surroundings) { s.synchronised = func() (bool, error) { return false, nil } }, "clock", Warning, "keeps"},
		"no default route":           {file("proc/net/route", "Iface Destination Gateway Flags\n"), "route", Block, "default route"},
		"the cluster's network used": {func(s *surroundings) { s.networks = taken("10.43.7.0/24") }, "networks", Block, "10.43.7.0/24 of vpn0"},
		"a network around it":        {func(s *surroundings) { s.networks = taken("10.0.0.0/8") }, "networks", Block, "10.0.0.0/8"},
		"no name server":             {file("etc/resolv.conf", "search example.org\n"), "names", Warning, "no name server"},
		"a dead name server":         {func(s *surroundings) { s.resolve = func(context.Context) error { return errors.New("i/o timeout") } }, "names", Warning, "i/o timeout"},
		"read-only /usr/local":       {func(s *surroundings) { s.writable = func(string) error { return unix.EROFS } }, "folders", Block, "read-only"},
		"swap":                       {file("proc/swaps", "Filename Type\n/swap file 1 0 -2\n"), "swap", Warning, "swap"},
		"ufw":                        {file("etc/ufw/ufw.conf", "# x\nENABLED=yes\n"), "firewall", Warning, "ufw"},
		"SELinux":                    {file("sys/fs/selinux/enforce", "1"), "SELinux", Warning, "enforcing"},
		"few watches":                {file("proc/sys/fs/inotify/max_user_watches", "100\n"), "watches", Warning, "max_user_watches is 100"},
		"half a proxy":               {func(s *surroundings) { s.environ = []string{"http_proxy=http://p:1"} }, "proxy", Warning, "HTTPS_PROXY is not"},
		"a proxy for the cluster":    {func(s *surroundings) { s.environ = []string{"HTTPS_PROXY=http://p:1"} }, "proxy", Warning, "NO_PROXY"},
		"Docker":                     {file("run/docker.sock", ""), "Docker", Warning, "Docker"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := soundMachine(t)
			tt.breaks(&s)
			f, err := checks[tt.check](s)
			if err != nil || f.Level != tt.level || !strings.Contains(f.Message, tt.says) || f.Fix == "" {
				t.Errorf("finding %+v, %v; want %s, %q and a mend", f, err, tt.level, tt.says)
			}
		})
	}
}

func taken(prefix string) func() (map[string][]netip.Prefix, error) {
	return func() (map[string][]netip.Prefix, error) {
		return map[string][]netip.Prefix{"vpn0": {netip.MustParsePrefix(prefix)}}, nil
	}
}
