// Package double is the real API and store over a made-up cluster, for tests.
package double

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/backup"
	"hks.dev/hks/agent/build"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/domain"
	"hks.dev/hks/agent/pipeline"
	"hks.dev/hks/agent/schedule"
	"hks.dev/hks/agent/store"
)

// Config says how the double behaves. The zero value is fine.
type Config struct {
	Listen   string  // default 127.0.0.1:0
	Root     string  // default: a temporary folder that Stop removes
	Password string  // sets up an owner at once
	Speed    float64 // how much faster than life things happen; default 1
	Seed     bool    // begin with a few apps
	Builds   bool    // begin with a few builds; needs Seed
	Trouble  bool    // begin with a few incidents and channels; needs Seed
	Log      *slog.Logger
	UI       http.Handler // default: none
}

// Double is a running test double.
type Double struct {
	URL         string
	SetupLink   string // empty when Config.Password was given
	Fingerprint string
	Socket      string

	server    *api.Server
	store     *store.Store
	builds    *build.Manager
	cron      *schedule.Manager
	pipelines *pipeline.Manager
	domains   *domain.Manager
	backups   *backup.Manager
	world     *world
	log       *slog.Logger
	remove    string
}

// Start begins to serve. The caller stops it.
func Start(ctx context.Context, cfg Config) (*Double, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.UI == nil {
		cfg.UI = http.NotFoundHandler()
	}
	d := &Double{log: cfg.Log}
	if cfg.Root == "" {
		root, err := os.MkdirTemp("", "hks")
		if err != nil {
			return nil, fmt.Errorf("making a folder: %w", err)
		}
		cfg.Root, d.remove = root, root
	}
	if err := d.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.Stop(ctx))
	}
	return d, nil
}

func (d *Double) start(ctx context.Context, cfg Config) error {
	settings := config.Default(cfg.Root)
	settings.API.Listen = cfg.Listen
	key := make([]byte, 32) // the same each time, for a double that is started again: what it seals is made up
	var err error
	d.store, err = store.New(store.Config{Path: settings.Paths().State("hks.db"), Key: key})
	if err != nil {
		return err
	}
	if err := d.store.Open(ctx); err != nil {
		return err
	}
	hub := api.NewHub(api.HubConfig{Log: cfg.Log})
	journal := api.NewJournal(d.store, hub, cfg.Log)
	d.world = newWorld(cfg.Speed, hub.Publish, journal.Record)
	builder := newBuilder(d.world)
	d.builds, err = build.New(build.Config{
		Store: d.store, Builder: builder, Cache: builder, Budget: 10 << 30, Deployer: apps{d.world}, Bases: noBases{}, Dir: settings.Paths().State("builds"),
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := d.builds.Start(ctx); err != nil {
		return err
	}
	at := &edge{world: d.world, asked: map[string]time.Time{}}
	d.domains, err = domain.New(domain.Config{
		Store: d.store, Apps: claims{d.world}, Gateway: at, Checker: at, ACME: true, Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := d.domains.Start(ctx); err != nil {
		return err
	}
	plans, err := newPlans(cfg.Speed, journal.Record)
	if err != nil {
		return err
	}
	d.pipelines, err = newPipelines(d.store, settings.Paths().State(), d.builds, apps{d.world}, hub.Publish, journal.Record)
	if err != nil {
		return err
	}
	if err := d.pipelines.Start(ctx); err != nil {
		return err
	}
	d.cron, err = newCron(d.store, settings.Paths().State(), func(ctx context.Context) (agent.Plan, error) {
		state, err := plans.Show(ctx)
		return state.Plan, err
	}, hub.Publish, journal.Record)
	if err != nil {
		return err
	}
	if err := d.cron.Start(ctx); err != nil {
		return err
	}
	d.backups, err = newAppliance(ctx, d.store, settings, key, func(ctx context.Context) (agent.Plan, error) {
		state, err := plans.Show(ctx)
		return state.Plan, err
	}, hub.Publish, journal.Record)
	if err != nil {
		return err
	}
	if err := d.backups.Start(ctx); err != nil {
		return err
	}
	found := newIncidents(cfg.Seed && cfg.Trouble, hub.Publish)
	d.server, err = api.New(api.Config{
		Settings: settings, Version: "0.1.0-double",
		Identities: d.store, Journal: journal, Hub: hub,
		Workspaces: workspaces{d.world}, Apps: apps{d.world}, Shells: shells{d.world}, Series: apps{d.world}, Images: images{d.world}, Builds: d.builds, Functions: &functions{speed: cfg.Speed, byID: map[string]*oneFunction{}}, Pipelines: d.pipelines,
		Plans: plans, CronJobs: d.cron, CronRuns: d.cron, Volumes: volumes{},
		Nodes: &nodes{speed: cfg.Speed, invited: map[string]time.Time{}}, Joins: joins{}, JoinFiles: joins{},
		Incidents: found, Silences: found, Insight: found, Channels: newChannels(cfg.Seed && cfg.Trouble, hub.Publish),
		Domains: d.domains, Maintenance: apps{d.world},
		Appliance: d.backups, Updates: updates{}, Audit: d.store,
		System: system{d.world}, RootCA: rootCA{}, UI: cfg.UI,
		Metrics: prometheus.NewRegistry(), Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	if err := d.server.Start(ctx); err != nil {
		return err
	}
	d.URL, d.Fingerprint, d.Socket = d.server.URL(), d.server.Fingerprint(), settings.Paths().AgentSocket()
	if cfg.Seed {
		d.world.seed()
	}
	if cfg.Seed && cfg.Builds {
		d.world.jobs.Go(d.pastBuilds)
	}
	info, err := d.local(ctx, http.MethodGet, "/api/info", nil)
	if err != nil || info["setUp"] == true {
		return err
	}
	return d.setUp(ctx, cfg.Password)
}

// setUp asks for the one-time link, as root does on the machine, and uses it
// when there is a password.
func (d *Double) setUp(ctx context.Context, password string) error {
	answer, err := d.local(ctx, http.MethodPost, "/api/setup-link", nil)
	if err != nil {
		return err
	}
	d.SetupLink, _ = answer["url"].(string)
	if password == "" {
		return nil
	}
	link, err := url.Parse(d.SetupLink)
	if err != nil {
		return fmt.Errorf("reading the set-up link: %w", err)
	}
	_, err = d.local(ctx, http.MethodPost, "/api/setup", map[string]string{"token": link.Query().Get("token"), "password": password})
	d.SetupLink = ""
	return err
}

// local makes a request over the unix socket.
func (d *Double) local(ctx context.Context, method, path string, body any) (map[string]any, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.Socket)
		},
		DisableKeepAlives: true,
	}}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(string(text)))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("asking %s: %s: %s", path, response.Status, reply)
	}
	var answer map[string]any
	if len(reply) > 0 {
		err = json.Unmarshal(reply, &answer)
	}
	return answer, err
}

// Stop ends everything; stopping twice is fine.
func (d *Double) Stop(ctx context.Context) error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.Stop(ctx))
	}
	if d.builds != nil {
		errs = append(errs, d.builds.Stop(ctx))
	}
	if d.pipelines != nil {
		errs = append(errs, d.pipelines.Stop(ctx))
	}
	if d.cron != nil {
		errs = append(errs, d.cron.Stop(ctx))
	}
	if d.backups != nil {
		errs = append(errs, d.backups.Stop(ctx))
	}
	if d.domains != nil {
		errs = append(errs, d.domains.Stop(ctx))
	}
	if d.world != nil {
		d.world.stop()
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.remove != "" {
		errs = append(errs, os.RemoveAll(d.remove))
	}
	return errors.Join(errs...)
}
