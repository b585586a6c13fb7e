package installer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/systemd"
)

// errNotRoot is what everyone but root gets to hear.
var errNotRoot = &preflightError{&agent.Error{
	Code: agent.CodeForbidden, Message: "this needs root: it changes mounts, interfaces and packet rules", Fix: "run it as root, for example with sudo",
}}

// Level says how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Block   Level = "block"
)

// Finding is the outcome of one check of the machine.
type Finding struct {
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Message string `json:"message"`       // what was seen
	Fix     string `json:"fix,omitempty"` // what to do about it
}

// preflightError says that the machine is not fit and nothing was changed.
type preflightError struct{ what *agent.Error }

func (e *preflightError) Error() string { return e.what.Message }
func (e *preflightError) Unwrap() error { return e.what }

// probe is one check of the machine.
type probe struct {
	name string
	run  func(context.Context) (Finding, error)
}

// preflight checks the machine and changes nothing.
func (m *machine) preflight(ctx context.Context) []Finding {
	own, err := m.ownPIDs(ctx)
	if err != nil {
		return []Finding{{Check: "hks", Level: Block, Message: err.Error()}}
	}
	around := m.around()
	probes := []probe{
		{"root", m.probeRoot},
		{"supervisor", m.probeSupervisor},
		{"processor", around.probeProcessor},
		{"kernel", around.probeKernel},
		{"clock", around.probeClock},
		{"commands", m.probeCommands},
		{"volumes", m.probeVolumes},
		{"cgroups", m.probeCgroups},
		{"overlay", m.probeOverlay},
		{"memory", m.probeMemory},
		{"disk", m.probeDisk},
		{"host name", m.probeHostName},
		{"other clusters", func(context.Context) (Finding, error) { return m.probeClusters(own) }},
		{"paths", m.probePaths},
		{"earlier install", m.probeEarlier},
		{"folders", func(context.Context) (Finding, error) { return around.probeWritable(m.folders()...) }},
		{"default route", func(context.Context) (Finding, error) {
			return around.probeRoute(m.settings.K3s.Extra["node-ip"] != nil)
		}},
		{"networks", func(context.Context) (Finding, error) { return around.probeNetworks(m.clusterNetworks()) }},
		{"names", around.probeNames},
		{"swap", around.probeSwap},
		{"firewall", around.probeFirewall},
		{"SELinux", around.probeSELinux},
		{"file watches", around.probeWatches},
		{"proxy", around.probeProxy},
		{"Docker", around.probeDocker},
	}
	for _, p := range m.ports() {
		probes = append(probes, probe{fmt.Sprintf("port %d", p.number), func(context.Context) (Finding, error) { return m.probePort(p, own) }})
	}
	var findings []Finding
	for _, p := range probes {
		f, err := p.run(ctx)
		if err != nil {
			f = Finding{Level: Warning, Message: "could not be checked: " + err.Error()}
		}
		f.Check = p.name
		findings = append(findings, f)
	}
	return findings
}

// checkMachine is the preflight of verbs that change things: it prints what is
// amiss, and refuses what blocks.
func (m *machine) checkMachine(ctx context.Context) error {
	findings := m.preflight(ctx)
	for _, f := range findings {
		if f.Level == Warning {
			m.say("warning: %s: %s", f.Check, f.Message)
			if f.Fix != "" {
				m.say("  fix: %s", f.Fix)
			}
		}
	}
	return blocking(findings)
}

// blocking makes one error of the findings that block.
func blocking(findings []Finding) error {
	var messages, fixes []string
	for _, f := range findings {
		if f.Level == Block {
			messages = append(messages, f.Message)
			if f.Fix != "" && !slices.Contains(fixes, f.Fix) {
				fixes = append(fixes, f.Fix)
			}
		}
	}
	switch len(messages) {
	case 0:
		return nil
	case 1:
		return &preflightError{&agent.Error{Code: agent.CodeConflict, Message: messages[0] + "; nothing was changed", Fix: strings.Join(fixes, "")}}
	}
	return &preflightError{&agent.Error{
		Code:    agent.CodeConflict,
		Message: "this machine can't run hks yet; nothing was changed:\n  " + strings.Join(messages, "\n  "),
		Fix:     strings.Join(fixes, "\n     "),
	}}
}

func printFindings(w io.Writer, findings []Finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "%-8s %-15s %s\n", f.Level, f.Check, f.Message)
		if f.Fix != "" && f.Level != OK {
			fmt.Fprintf(w, "%-8s %-15s fix: %s\n", "", "", f.Fix)
		}
	}
}

// port is one that the appliance listens on.
type port struct {
	number  int
	what    string
	key     string // of the settings, where it can be changed
	address string // of it; empty for those of k3s
}

func (m *machine) ports() []port {
	if m.joins {
		return []port{{number: 10250, what: "the kubelet"}}
	}
	s := m.settings
	var list []port
	for _, p := range []struct{ address, what, key string }{
		{s.Gateway.HTTP, "the gateway (HTTP)", "gateway.http"}, {s.Gateway.HTTPS, "the gateway (HTTPS)", "gateway.https"},
		{s.API.Listen, "the API and UI", "api.listen"}, {s.Registry.Listen, "the image registry", "registry.listen"},
	} {
		_, text, err := net.SplitHostPort(p.address)
		if err != nil {
			continue // can't be: the settings were checked
		}
		if number, err := net.LookupPort("tcp", text); err == nil && number != 0 {
			list = append(list, port{number, p.what, p.key, p.address})
		}
	}
	api := 6443
	if n, err := strconv.Atoi(fmt.Sprint(s.K3s.Extra["https-listen-port"])); err == nil {
		api = n
	}
	return append(list, port{number: api, what: "the Kubernetes API", key: "k3s.extra.https-listen-port"}, port{number: 10250, what: "the kubelet"})
}

func (m *machine) probeRoot(context.Context) (Finding, error) {
	if os.Geteuid() != 0 {
		return Finding{Level: Block, Message: errNotRoot.what.Message, Fix: errNotRoot.what.Fix}, nil
	}
	return Finding{Level: OK, Message: "is root"}, nil
}

func (m *machine) probeSupervisor(context.Context) (Finding, error) {
	switch {
	case m.settings.Supervisor == config.SupervisorSystemd && !systemd.Running():
		return Finding{
			Level: Block, Message: "the settings ask for systemd, which does not run this machine",
			Fix: "set supervisor to auto in " + m.paths.ConfigFile() + ": the agent then looks after the other programs itself",
		}, nil
	case m.bySystemd():
		return Finding{Level: OK, Message: "systemd"}, nil
	}
	return Finding{
		Level: Warning, Message: "systemd does not run this machine: nothing starts hks again after a reboot",
		Fix: "use a machine with systemd, or run hks-installer up at each start",
	}, nil
}

// probeEarlier tells of a run that did not come to its end.
func (m *machine) probeEarlier(context.Context) (Finding, error) {
	if !exists(m.journalFile()) {
		return Finding{Level: OK, Message: "none"}, nil
	}
	for _, name := range programs {
		link := m.paths.Bin(name)
		if _, err := os.Stat(link); errors.Is(err, os.ErrNotExist) {
			return Finding{
				Level: Warning, Message: "an install or a removal broke off here: " + link + " is missing, and changes are noted in " + m.journalFile(),
				Fix: "go on: up completes the install, hks-installer down or purge complete the removal",
			}, nil
		}
	}
	return Finding{Level: OK, Message: "is whole"}, nil
}

// folders are where up writes to.
func (m *machine) folders() []string {
	folders := []string{m.paths.Versions(), filepath.Dir(m.paths.Bin("hks")), filepath.Dir(m.paths.ConfigFile()), m.paths.State(), m.paths.K3sData()}
	if m.bySystemd() {
		folders = append(folders, systemd.Folder)
	}
	return folders
}

// clusterNetworks are those of pods and services.
func (m *machine) clusterNetworks() []netip.Prefix {
	var networks []netip.Prefix
	for key, usual := range map[string]string{"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16"} {
		text, ok := m.settings.K3s.Extra[key].(string)
		if !ok {
			text = usual
		}
		for part := range strings.SplitSeq(text, ",") {
			if prefix, err := netip.ParsePrefix(strings.TrimSpace(part)); err == nil {
				networks = append(networks, prefix)
			}
		}
	}
	return networks
}

func (m *machine) probePaths(context.Context) (Finding, error) {
	for _, name := range append([]string{"k3s"}, programs...) {
		path := m.paths.Bin(name)
		info, err := os.Lstat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Finding{}, err
		}
		target, _ := os.Readlink(path) // of a file it is empty
		if info.Mode()&os.ModeSymlink == 0 || !strings.HasPrefix(target, m.paths.Versions()+"/") {
			return Finding{
				Level: Block, Message: path + " is there and was not placed by hks",
				Fix: fmt.Sprintf("move %s away, or uninstall what it belongs to", path),
			}, nil
		}
	}
	return Finding{Level: OK, Message: "nothing is in the way"}, nil
}
