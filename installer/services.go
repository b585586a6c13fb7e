package installer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/cgroup"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/systemd"
)

// service is one of the appliance's long-lived processes.
type service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Detach(ctx context.Context) error
	State(ctx context.Context) (agent.ProcessState, error)
	Tail(ctx context.Context, lines int) []string
}

// remover takes a unit file away; children have none.
type remover interface {
	Remove(ctx context.Context) error
}

// bySystemd tells who supervises on this machine.
func (m *machine) bySystemd() bool {
	return m.settings.Supervisor == config.SupervisorSystemd ||
		(m.settings.Supervisor == config.SupervisorAuto && systemd.Running())
}

// inherited are the variables that the agent gets from whoever starts it.
var inherited = []string{
	"PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

func (m *machine) environment() []string {
	var env []string
	for _, variable := range m.cfg.Environ {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains(inherited, name) {
			env = append(env, variable)
		}
	}
	return env
}

// agentService is the agent, as it should run today.
func (m *machine) agentService() (service, error) {
	command := []string{m.paths.Bin("hks-agent"), "--root", m.paths.At()}
	if exists(m.paths.NodeFile()) {
		command = append(command, "--node")
	}
	revision, err := m.agentRevision()
	if err != nil {
		return nil, err
	}
	if m.bySystemd() {
		environment := map[string]string{"HKS_REVISION": revision} // another revision is another unit, so it restarts
		for _, variable := range m.environment() {
			if name, value, _ := strings.Cut(variable, "="); name != "PATH" && name != "HOME" {
				environment[name] = value
			}
		}
		u := systemd.Agent(command, environment)
		u.Listen = m.agentListens()
		return systemd.New(systemd.Config{Unit: u})
	}
	return process.New(process.Config{
		Name: "hks-agent", Command: command, Env: m.environment(), Revision: revision,
		PIDFile: m.paths.Run("agent.pid"), Log: process.Log{Path: m.paths.Logs("agent.log")},
	})
}

// agentListens are the addresses on which systemd listens for the agent; the
// agent of a node has none.
func (m *machine) agentListens() []string {
	if exists(m.paths.NodeFile()) || m.joins {
		return nil
	}
	var listens []string
	for _, address := range []string{m.settings.API.Listen, m.settings.Registry.Listen, m.paths.AgentSocket(), m.paths.FunctionSocket()} {
		if _, ok := systemd.ListenStream(address); ok {
			listens = append(listens, address)
		}
	}
	return listens
}

// agentRevision names the program and the settings that the agent runs with.
func (m *machine) agentRevision() (string, error) {
	program, err := hashFile(m.paths.Bin("hks-agent"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the agent's program: %w", err)
	}
	settings, err := os.ReadFile(m.paths.ConfigFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading settings: %w", err)
	}
	sum := sha256.Sum256(append([]byte(program+"\n"), settings...))
	return hex.EncodeToString(sum[:8]), nil
}

// otherService is what the agent supervises, for stopping it without the agent.
func (m *machine) otherService(name, unit string, stop time.Duration) (service, error) {
	if m.bySystemd() {
		// Only the name counts for stopping and removing.
		return systemd.New(systemd.Config{Unit: systemd.Unit{Name: unit, Command: []string{m.paths.Bin(name)}}})
	}
	return process.New(process.Config{
		Name: name, PIDFile: m.paths.Run(strings.TrimPrefix(name, "hks-") + ".pid"),
		Log: process.Log{Path: m.paths.Logs(strings.TrimPrefix(name, "hks-") + ".log")}, StopTimeout: stop,
	})
}

// engineService is k3s, for stopping it without the agent.
func (m *machine) engineService() (service, error) {
	return m.otherService("k3s", systemd.K3sUnit, time.Minute)
}

// builds is where builds ran, for clearing up after them.
func (m *machine) builds() (*cgroup.Place, error) {
	cfg := cgroup.Config{Dir: m.paths.BuildState(), Record: m.paths.BuildGroups()}
	if m.bySystemd() {
		cfg.Unit = systemd.BuilderUnit
	}
	return cgroup.New(cfg)
}

// named is a service with the name that people know it by.
type named struct {
	name string
	service
}

// services lists all in the order in which they are stopped.
func (m *machine) services() ([]named, error) {
	a, err := m.agentService()
	if err != nil {
		return nil, err
	}
	gateway, err := m.otherService("hks-gateway", systemd.GatewayUnit, 30*time.Second)
	if err != nil {
		return nil, err
	}
	engine, err := m.engineService()
	if err != nil {
		return nil, err
	}
	builder, err := m.otherService("hks-buildkitd", systemd.BuilderUnit, 15*time.Second)
	if err != nil {
		return nil, err
	}
	return []named{{"the agent", a}, {"the builder", builder}, {"the gateway", gateway}, {"k3s", engine}}, nil
}

// ownPIDs are the main processes of the appliance that run now.
func (m *machine) ownPIDs(ctx context.Context) ([]int, error) {
	all, err := m.services()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, s := range all {
		state, err := s.State(ctx)
		if err != nil {
			return nil, err
		}
		if state.Running {
			pids = append(pids, state.PID)
		}
	}
	return pids, nil
}

// runFiles is the folder of sockets and pid files.
func (m *machine) runFiles() string { return filepath.Dir(m.paths.AgentSocket()) }
