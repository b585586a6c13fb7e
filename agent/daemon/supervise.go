package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/k3s"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/systemd"
)

// supervised is a process that outlives the agent: a unit of systemd's, or a
// child that the agent adopts after a restart.
type supervised interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Detach(ctx context.Context) error
	State(ctx context.Context) (agent.ProcessState, error)
	Tail(ctx context.Context, lines int) []string
}

// supervisor makes the runners of the other processes.
type supervisor struct {
	cfg     Config
	paths   config.Paths
	systemd bool
}

func newSupervisor(cfg Config) (*supervisor, error) {
	s := &supervisor{cfg: cfg, paths: cfg.Settings.Paths()}
	switch cfg.Settings.Supervisor {
	case config.SupervisorSystemd:
		s.systemd = true
	case config.SupervisorAuto:
		s.systemd = systemd.Running()
	case config.SupervisorChild:
	}
	if s.systemd && !systemd.Running() {
		return nil, agent.Errorf(agent.CodeInvalid, "set supervisor to auto or child in config.yaml", "the settings ask for systemd, which does not run this machine")
	}
	return s, nil
}

// gateway makes the gateway's runner. Another binary than the one that runs
// replaces it.
func (s *supervisor) gateway() (supervised, error) {
	binary := s.paths.Bin("hks-gateway")
	command := []string{binary, "--root", s.cfg.Settings.Root}
	revision, err := fingerprint(binary)
	if err != nil {
		return nil, err
	}
	if s.systemd {
		return systemd.New(systemd.Config{
			Unit: systemd.Unit{
				Name: "hks-gateway.service", Description: "hks: gateway", After: []string{"network-online.target"}, Command: command, Notify: true, NoFile: 1048576,
				Environment: map[string]string{"HKS_REVISION": revision + gatewayRevision(s.cfg.Settings.Gateway)}, // another revision is another unit, so it restarts
			},
			Logger: s.cfg.Log,
		})
	}
	return process.New(process.Config{
		Name: "hks-gateway", Command: command, Env: s.cfg.Environ, Revision: revision + gatewayRevision(s.cfg.Settings.Gateway),
		PIDFile: s.paths.Run("gateway.pid"), Log: process.Log{Path: s.paths.Logs("gateway.log")}, Logger: s.cfg.Log,
		Ready: s.succeeded,
	})
}

// engine makes k3s's runner and the engine over it; with join it is a node of a
// cluster elsewhere.
func (s *supervisor) engine(changed func(k3s.Health), join *k3s.Join) (*k3s.Engine, supervised, error) {
	settings := s.cfg.Settings.K3s
	cfg := k3s.Config{
		Binary: settings.Binary, DataDir: s.paths.K3sData(), ConfigFile: s.paths.K3sConfig(), RegistriesFile: s.paths.K3sRegistries(),
		Kubeconfig: s.paths.K3sKubeconfig(), RevisionFile: s.paths.State("k3s.revision"),
		NodeName: settings.NodeName, TLSSANs: s.cfg.Settings.API.Hosts, Extra: settings.Extra, StartTimeout: settings.StartTimeout,
		Environ: s.cfg.Environ, OnChange: changed, Logger: s.cfg.Log, Join: join,
	}
	command, env := cfg.Command()
	runner, err := s.k3s(command, env)
	if err != nil {
		return nil, nil, err
	}
	cfg.Runner, cfg.Tail, cfg.LogPlace = runner, runner.Tail, s.paths.Logs("k3s.log")
	if s.systemd {
		cfg.LogPlace = "journalctl -u hks-k3s"
	}
	engine, err := k3s.New(cfg)
	return engine, runner, err
}

func (s *supervisor) k3s(command, env []string) (supervised, error) {
	if s.systemd {
		return systemd.New(systemd.Config{Unit: systemd.K3s("hks-k3s.service", command, variables(env)), Logger: s.cfg.Log})
	}
	return process.New(process.Config{
		Name: "k3s", Command: command, Env: env,
		PIDFile: s.paths.Run("k3s.pid"), Log: process.Log{Path: s.paths.Logs("k3s.log")}, Logger: s.cfg.Log,
	})
}

// fingerprint is the SHA-256 of a file's content.
func fingerprint(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", agent.Errorf(agent.CodeInvalid, "run hks-installer up again: it places the appliance's commands", "a part of the appliance is missing: %w", err)
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
