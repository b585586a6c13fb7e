package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/app"
	"hks.dev/hks/agent/backup"
	"hks.dev/hks/agent/build"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/domain"
	"hks.dev/hks/agent/function"
	"hks.dev/hks/agent/hosts"
	"hks.dev/hks/agent/k3s"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/market"
	"hks.dev/hks/agent/node"
	"hks.dev/hks/agent/pipeline"
	"hks.dev/hks/agent/plan"
	"hks.dev/hks/agent/registry"
	"hks.dev/hks/agent/schedule"
	"hks.dev/hks/agent/store"
	"hks.dev/hks/agent/update"
	"hks.dev/hks/agent/volume"
	"hks.dev/hks/agent/workspace"
	"hks.dev/hks/ui"
)

// firstPlan is the plan of a new appliance.
const firstPlan = "hobby"

// parts is everything the agent is made of.
type parts struct {
	log       *logKeeper
	store     *store.Store
	version   *versionTeller
	registry  *registry.Registry
	gateway   supervised
	builder   *builder
	engine    *k3s.Engine
	k3s       supervised
	boot      *boot
	workspace *workspace.Manager
	apps      *app.Manager
	builds    *build.Manager
	pipelines *pipeline.Manager
	domains   *domain.Manager
	shell     *app.Shell
	market    *market.Manager
	sampler   *aiops.Sampler
	series    *store.Series
	assistant *aiops.Manager
	reporter  *aiops.Reporter
	names     *names
	nodes     *node.Manager
	plan      *plan.Manager
	cron      *schedule.Manager
	joinFiles *joinFiles
	diskKeys  *diskKeys
	functions *function.Manager
	volumes   *volume.Manager
	claims    *claims
	backups   *backup.Manager
	updates   *update.Looker
	address   *address
	api       *api.Server
}

// assemble makes the parts, lowest floor first.
func assemble(cfg Config) (*parts, error) {
	settings, paths := cfg.Settings, cfg.Settings.Paths()
	p := &parts{}
	key, err := loadKey(paths.State("secret.key"))
	if err != nil {
		return nil, err
	}
	if p.store, err = store.New(store.Config{Path: paths.State("hks.db"), Key: key}); err != nil {
		return nil, err
	}
	hub := api.NewHub(api.HubConfig{})
	journal := api.NewJournal(p.store, hub, cfg.Log)
	p.version = &versionTeller{file: paths.State("version"), version: cfg.Version, record: journal.Record}
	p.registry, err = registry.New(registry.Config{
		Dir: paths.State("registry"), Listen: settings.Registry.Listen, Hosts: append(interfaceAddresses(), settings.API.Hosts...), Budget: int64(settings.Registry.Budget),
		Sockets: cfg.Sockets,
		Uses:    p.imageUses, Building: func() bool { return p.builds.Building() }, Record: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	p.log = newLogKeeper(paths.Logs("agent.log"), cfg.Log)
	s, err := newSupervisor(cfg)
	if err != nil {
		return nil, err
	}
	if p.gateway, err = s.gateway(); err != nil {
		return nil, err
	}
	if p.builder, err = s.builder(p.registry, func() { hub.Publish("system", "builder", nil) }); err != nil {
		return nil, err
	}
	gateway := newGatewayClient(paths.GatewaySocket())
	system := &system{version: cfg.Version, upgrade: paths.UpgradeFile(), log: cfg.Log, registry: p.registry, gateway: gateway, builder: p.builder.daemon}
	if p.engine, p.k3s, err = s.engine(func(k3s.Health) { hub.Publish("system", "engine", nil) }, nil); err != nil {
		return nil, err
	}
	p.boot = newBoot(bootConfig{
		Engine: p.engine, Registry: p.registry, Log: cfg.Log,
		AgentFile: paths.AgentKubeconfig(), GatewayFile: paths.GatewayKubeconfig(),
		OnChange: func() { hub.Publish("system", "cluster", nil) },
	})
	system.engine, system.boot, system.runner = p.engine, p.boot, p.gateway

	cluster, err := kube.NewDeferred(kube.Config{Kubeconfig: paths.AgentKubeconfig()})
	if err != nil {
		return nil, err
	}
	if err := p.buildWorkloads(cfg, cluster, hub, journal); err != nil {
		return nil, err
	}
	if err := p.buildFunctions(cfg, cluster, gateway, hub, journal); err != nil {
		return nil, err
	}
	if err := p.buildCron(cfg, cluster, hub, journal); err != nil {
		return nil, err
	}
	if err := p.buildDomains(cfg, gateway, hub, journal); err != nil {
		return nil, err
	}
	if err := p.buildAssistant(cfg, cluster, gateway, hub, journal); err != nil {
		return nil, err
	}
	if err := p.buildAppliance(cfg, hub, journal); err != nil {
		return nil, err
	}
	p.address = p.newAddress(cfg, hub, journal)
	system.address = p.address
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.api, err = api.New(api.Config{
		Settings: settings, Version: cfg.Version, Sockets: cfg.Sockets,
		Identities: p.store, Journal: journal, Hub: hub,
		Workspaces: p.workspace, Apps: p.apps, Shells: p.shell, Series: p.sampler, Images: p.registry, Builds: p.builds, Pipelines: p.pipelines,
		Plans: p.plan, Nodes: p.nodes, Joins: p.nodes, JoinFiles: p.joinFiles,
		Maintenance: p.apps, Domains: p.domains,
		CronJobs: p.cron, CronRuns: p.cron, Volumes: p.volumes,
		Incidents: p.assistant, Silences: p.assistant, Insight: p.assistant, Channels: p.reporter,
		Market: p.market, Functions: p.functions, Appliance: p.backups, Updates: p.updates, Audit: p.store,
		System: system, RootCA: gateway, UI: ui.Handler(),
		Metrics: metrics, Log: cfg.Log, Ready: p.boot.Done,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// buildWorkloads makes floor 2.
func (p *parts) buildWorkloads(cfg Config, cluster *kube.Client, hub *api.Hub, journal *api.Journal) error {
	plans, err := plan.New()
	if err != nil {
		return err
	}
	p.workspace, err = workspace.New(workspace.Config{
		Cluster: cluster, Store: p.store, Plans: plans, Plan: firstPlan,
		Occupant: workspace.OccupantFunc(p.occupied),
		Publish:  hub.Publish, Record: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := p.buildPlan(cfg, plans, journal); err != nil {
		return err
	}
	if err := p.buildNodes(cfg, cluster, hub, journal); err != nil {
		return err
	}
	if err := p.buildVolumes(cfg, cluster, hub, journal); err != nil {
		return err
	}
	p.sampler, err = aiops.NewSampler(aiops.SamplerConfig{
		Source: aiops.Kubelets{Cluster: cluster.Interface(), Workspace: p.workspace}, Interval: cfg.Settings.Assistant.Interval, Log: cfg.Log,
		Observe: func(ctx context.Context, at time.Time, f aiops.Figures) { p.assistant.Observe(ctx, at, f) },
	})
	if err != nil {
		return err
	}
	route, port, err := routeOf(cfg.Settings.Gateway)
	if err != nil {
		return err
	}
	p.names = newNames(hosts.File{Path: cfg.Settings.Paths().Hosts()}, cfg.Settings.Domain, cfg.Log)
	p.apps, err = app.New(app.Config{
		Store: p.store, Cluster: cluster, Workspace: p.workspace, Images: p.registry, Route: route, Sampler: p.sampler, Nodes: p.nodes, Volumes: p.volumes, Grace: cfg.Settings.Volumes.Grace,
		Publish: hub.Publish, Activity: journal.Record, HostsChanged: func() { p.names.Changed(); p.domains.Changed() },
		Domain: cfg.Settings.Domain, Port: port, Reserved: reservedHosts(cfg.Settings), Deadline: cfg.Settings.Deploy.Deadline, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	p.names.list = p.apps.Hosts
	p.shell, err = app.NewShell(app.ShellConfig{Cluster: cluster, Workspace: p.workspace, Apps: p.apps})
	if err != nil {
		return err
	}
	p.builds, err = build.New(build.Config{
		Store: p.store, Builder: p.builder.client, Cache: p.builder.client, Budget: int64(cfg.Settings.Build.Cache), Deployer: p.apps, Bases: bases{p.registry},
		Dir: cfg.Settings.Paths().State("builds"), CA: cfg.Settings.Build.CA != "",
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := p.buildPipelines(cfg, hub, journal); err != nil {
		return err
	}
	return p.buildMarket(cfg, cluster, hub, journal)
}

// reservedHosts are the names of the appliance itself. A browser sends the
// session's cookie to every port of a name, so no app may have one of them.
func reservedHosts(settings config.Config) []string {
	reserved := append([]string{"localhost", settings.Domain}, settings.API.Hosts...)
	if host, err := os.Hostname(); err == nil {
		reserved = append(reserved, strings.ToLower(host))
	}
	return reserved
}

// routeOf is how this machine reaches its own gateway, and the port that URLs
// show when it is not the usual one.
func routeOf(gateway config.Gateway) (*app.Route, int, error) {
	var at [2]string
	var port int
	for i, address := range []string{gateway.HTTP, gateway.HTTPS} {
		host, number, err := net.SplitHostPort(address)
		if err != nil {
			return nil, 0, fmt.Errorf("the gateway's address: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			host = "127.0.0.1"
		}
		at[i] = net.JoinHostPort(host, number)
		if port, err = net.LookupPort("tcp", number); err != nil {
			return nil, 0, fmt.Errorf("the gateway's port: %w", err)
		}
	}
	if port == 443 {
		port = 0
	}
	route, err := app.NewRoute(app.RouteConfig{HTTP: at[0], HTTPS: at[1]})
	return route, port, err
}

// components lists the parts in the order of their start.
func (p *parts) components() []component {
	return []component{
		{"the log's keeper", p.log.Start, p.log.Stop},
		{"the database", p.store.Open, func(context.Context) error { return p.store.Close() }},
		{"the version", p.version.Start, func(context.Context) error { return nil }},
		{"the image registry", p.registry.Start, p.registry.Stop},
		// The gateway comes before the cluster: it serves from what it knew.
		{"the gateway", p.gateway.Start, p.gateway.Detach},
		{"the builder", p.builder.daemon.Start, p.builder.daemon.Detach},
		// The engine starts pods, which need their volumes.
		{"the volumes' disks", p.volumes.Mount, func(context.Context) error { return nil }},
		{"the engine", p.boot.Start, func(ctx context.Context) error {
			err := p.boot.Stop(ctx)
			p.engine.Detach()
			return errors.Join(err, p.k3s.Detach(ctx))
		}},
		{"the workspace", p.workspace.Start, p.workspace.Stop},
		{"the volumes", p.volumes.Start, p.volumes.Stop},
		{"host names", p.names.Start, p.names.Stop},
		{"the series", p.series.Open, func(context.Context) error { return p.series.Close() }},
		{"the reports", p.reporter.Start, p.reporter.Stop},
		{"the assistant", p.assistant.Start, p.assistant.Stop},
		{"the apps", p.apps.Start, p.apps.Stop},
		{"the builds", p.builds.Start, p.builds.Stop},
		{"the pipelines", p.pipelines.Start, p.pipelines.Stop},
		{"the functions", p.functions.Start, p.functions.Stop},
		{"the functions' socket", p.claims.Start, p.claims.Stop},
		{"the domains", p.domains.Start, p.domains.Stop},
		{"the cron jobs", p.cron.Start, p.cron.Stop},
		{"the marketplace", p.market.Start, p.market.Stop},
		{"the nodes", p.nodes.Start, p.nodes.Stop},
		{"the appliance's backups", p.backups.Start, p.backups.Stop},
		{"the look for updates", p.updates.Start, p.updates.Stop},
		{"the machine's address", p.address.Start, p.address.Stop},
		{"the sampler", p.sampler.Start, p.sampler.Stop},
		{"the API", p.api.Start, p.api.Stop},
	}
}

// system tells the state of the appliance's own parts.
type system struct {
	version  string
	upgrade  string // file of the last change of version
	log      *slog.Logger
	engine   *k3s.Engine
	boot     *boot
	registry *registry.Registry
	gateway  *gatewayClient
	builder  *buildkit.Daemon
	runner   supervised // of the gateway
	address  *address
}

// lookWithin bounds a look at everything.
const lookWithin = 5 * time.Second

// System looks at every part.
func (s *system) System(ctx context.Context) agent.System {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	health := s.engine.Health()
	engine := agent.Part{Name: "engine", Healthy: health.State == k3s.StateReady, Version: health.Version, Message: health.Message}
	if !engine.Healthy && engine.Message == "" {
		engine.Message = string(health.State)
	}
	return agent.System{Version: s.version, Upgrade: s.lastUpgrade(ctx), Parts: []agent.Part{engine, s.boot.Part(), s.gatewayPart(ctx), s.registryPart(), s.builder.Part(ctx), s.address.Part()}}
}

// lastUpgrade reads what hks-installer wrote down; nil when there is nothing.
func (s *system) lastUpgrade(ctx context.Context) *agent.Upgrade {
	data, err := os.ReadFile(s.upgrade)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var last agent.Upgrade
	if err == nil {
		err = json.Unmarshal(data, &last)
	}
	if err != nil {
		s.log.WarnContext(ctx, "the last change of version can't be read", "error", err)
		return nil
	}
	return &last
}

func (s *system) gatewayPart(ctx context.Context) agent.Part {
	err := s.gateway.Healthy(ctx)
	if err == nil {
		return agent.Part{Name: "gateway", Healthy: true}
	}
	part := agent.Part{Name: "gateway", Message: err.Error()}
	if state, failed := s.runner.State(ctx); failed == nil && !state.Running {
		part.Message = "it does not run: " + state.LastExit
		if last := s.runner.Tail(ctx, 1); len(last) > 0 {
			part.Message += " (" + last[0] + ")"
		}
	}
	return part
}

func (s *system) registryPart() agent.Part {
	if err := s.registry.Healthy(); err != nil {
		return agent.Part{Name: "registry", Message: err.Error()}
	}
	return agent.Part{Name: "registry", Healthy: true}
}
