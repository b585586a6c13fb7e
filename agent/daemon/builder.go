package daemon

import (
	"maps"
	"path/filepath"
	"strings"
	"time"

	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/cgroup"
	"hks.dev/hks/agent/process"
	"hks.dev/hks/agent/registry"
	"hks.dev/hks/agent/systemd"
)

// builder is the BuildKit daemon, and who speaks to it.
type builder struct {
	daemon *buildkit.Daemon
	client *buildkit.Client
}

// builder makes the builder's runner, its daemon and a client of it.
func (s *supervisor) builder(images *registry.Registry, changed func()) (*builder, error) {
	settings := s.cfg.Settings.Build
	place := cgroup.Config{
		Dir: s.paths.BuildState(), Record: s.paths.BuildGroups(), Logger: s.cfg.Log,
		Limits: cgroup.Limits{CPUs: settings.CPUs, Memory: int64(settings.Memory)},
	}
	if s.systemd {
		place.Unit = systemd.BuilderUnit
	}
	groups, err := cgroup.New(place)
	if err != nil {
		return nil, err
	}
	own := func() buildkit.Registry {
		m := images.Mirror()
		return buildkit.Registry{Address: strings.TrimPrefix(m.Endpoint, "https://"), CAFile: m.CAFile, Username: m.Username, Password: m.Password}
	}
	cfg := buildkit.Config{
		Binary: s.paths.Bin("hks-buildkitd"), Dir: s.paths.BuildState(), Socket: s.paths.BuildSocket(),
		SettingsFile: s.paths.State("buildkitd.toml"), RevisionFile: s.paths.Run("buildkitd.revision"),
		CA: settings.CA, Runc: settings.Runc, K3sRunc: filepath.Join(s.paths.K3sData(), "data/current/bin/runc"),
		Parallelism: settings.Parallelism, Cache: int64(settings.Cache), Place: groups, Registry: own,
		Environ: s.cfg.Environ, LogPlace: s.paths.Logs("buildkitd.log"), OnChange: changed, Logger: s.cfg.Log,
	}
	if s.systemd {
		cfg.LogPlace = "journalctl -u hks-buildkitd"
	}
	if cfg.Runner, err = s.buildkitd(cfg, groups); err != nil {
		return nil, err
	}
	b := &builder{}
	if b.daemon, err = buildkit.New(cfg); err != nil {
		return nil, err
	}
	b.client, err = buildkit.NewClient(buildkit.ClientConfig{
		Socket: cfg.Socket, Use: b.daemon.Use, Registry: own, Network: settings.Network, CA: settings.CA, Memory: int64(settings.Memory), Logger: s.cfg.Log,
	})
	return b, err
}

// builderStop is how long the builder may take to stop.
const builderStop = 15 * time.Second

func (s *supervisor) buildkitd(cfg buildkit.Config, place *cgroup.Place) (supervised, error) {
	command, env := cfg.Command()
	if !s.systemd {
		return process.New(process.Config{
			Name: "hks-buildkitd", Command: command, Env: env, Before: place.Clear, Started: place.Admit, StopTimeout: builderStop,
			PIDFile: s.paths.Run("buildkitd.pid"), Log: process.Log{Path: s.paths.Logs("buildkitd.log")}, Logger: s.cfg.Log,
		})
	}
	options := map[string]string{
		"Nice": "19", "OOMPolicy": "continue", "PrivateMounts": "yes", // what it mounts goes with it
	}
	maps.Copy(options, place.UnitOptions())
	return systemd.New(systemd.Config{
		Unit: systemd.Unit{
			Name: systemd.BuilderUnit, Description: "hks: builder (BuildKit)", After: []string{"network-online.target"},
			Command: command, Environment: variables(env), Notify: true, Delegate: true, OnDemand: true, StopLimit: builderStop, NoFile: 1048576,
			Options: options,
		},
		Logger: s.cfg.Log,
	})
}

// variables are an environment by name.
func variables(env []string) map[string]string {
	byName := make(map[string]string, len(env))
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		byName[name] = value
	}
	return byName
}
