package daemon

import (
	"context"
	"slices"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/app"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/market"
	"hks.dev/hks/agent/s3"
)

// buildMarket makes the marketplace.
func (p *parts) buildMarket(cfg Config, cluster *kube.Client, hub *api.Hub, journal *api.Journal) error {
	charts, err := helm.New(helm.Config{REST: cluster.REST, Log: cfg.Log})
	if err != nil {
		return err
	}
	paths := cfg.Settings.Paths()
	p.market, err = market.New(market.Config{
		Store: p.store, Cluster: cluster, Workspace: p.workspace, Helm: charts, Shell: p.shell, Apps: bound{appEnv{p.apps}, p}, Remote: s3.New(), Volumes: p.volumes, Places: p.apps,
		Backups: paths.State("backups"), Charts: paths.State("charts"), Grace: cfg.Settings.Volumes.Grace,
		Ended:   p.backupEnded,
		Publish: hub.Publish, Activity: journal.Record, Log: cfg.Log,
	})
	return err
}

// occupied tells whether anything lives in the workspace.
func (p *parts) occupied(ctx context.Context) (bool, error) {
	if there, err := p.store.HasApps(ctx); err != nil || there {
		return there, err
	}
	return p.store.HasServices(ctx)
}

// imageUses are the images that releases and services need.
func (p *parts) imageUses(ctx context.Context) ([]agent.ImageUse, error) {
	uses, err := p.store.ImageUses(ctx)
	if err != nil {
		return nil, err
	}
	more, err := p.store.ServiceImages(ctx)
	return slices.Concat(uses, more), err
}

// appEnv changes the environment of apps for the marketplace.
type appEnv struct{ apps *app.Manager }

// SetEnv lays values over those of the newest release and takes names away.
func (a appEnv) SetEnv(ctx context.Context, name string, env agent.Environment, set map[string]string, unset []string, by string) (agent.Release, error) {
	names, err := a.EnvNames(ctx, name, env)
	if err != nil {
		return agent.Release{}, err
	}
	all := map[string]string{}
	for _, name := range names {
		if !slices.Contains(unset, name) {
			all[name] = agent.HiddenValue
		}
	}
	for name, value := range set {
		all[name] = value
	}
	return a.apps.Deploy(ctx, name, env, agent.Deploy{Env: all}, by)
}

// EnvNames lists the names in the newest release's environment.
func (a appEnv) EnvNames(ctx context.Context, name string, env agent.Environment) ([]string, error) {
	releases, err := a.apps.Releases(ctx, name, env)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	var names []string
	for name := range releases[0].Spec.Env {
		names = append(names, name)
	}
	return names, nil
}

// Release returns one release.
func (a appEnv) Release(ctx context.Context, name string, env agent.Environment, number int) (agent.Release, error) {
	return a.apps.Release(ctx, name, env, number)
}
