package daemon

import (
	"context"
	_ "time/tzdata" // cron jobs name time zones, which the machine need not know

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/schedule"
)

// buildCron makes what runs cron jobs.
func (p *parts) buildCron(cfg Config, cluster *kube.Client, hub *api.Hub, journal *api.Journal) error {
	containers, err := schedule.NewContainers(schedule.ContainerConfig{Cluster: cluster, Workspace: p.workspace, Images: p.registry, Apps: p.apps})
	if err != nil {
		return err
	}
	p.cron, err = schedule.New(schedule.Config{
		Store: p.store, Containers: containers, Functions: schedule.NewFunctions(p.functions), Dir: cfg.Settings.Paths().State("cron"),
		Limit: func(ctx context.Context) (agent.Plan, error) {
			state, err := p.plan.Show(ctx)
			return state.Plan, err
		},
		Prewarm: func(ctx context.Context, function string) {
			if err := p.functions.Prewarm(ctx, function); err != nil {
				cfg.Log.WarnContext(ctx, "a function could not be warmed for its slot", "function", function, "error", err)
			}
		},
		Ended:   p.cronEnded,
		Publish: hub.Publish, Record: journal.Record, Log: cfg.Log,
	})
	return err
}
