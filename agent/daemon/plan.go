package daemon

import (
	"context"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/plan"
)

// buildPlan makes what shows the plan and changes it. Each limit is counted by
// whoever owns what it limits.
func (p *parts) buildPlan(cfg Config, plans *plan.Plans, journal *api.Journal) (err error) {
	p.plan, err = plan.NewManager(plan.ManagerConfig{
		Plans: plans, Workspace: p.workspace, Record: journal.Record, Log: cfg.Log,
		Limits: []plan.Limit{
			{
				Name: "cron jobs", Unit: "count", Of: func(p agent.Plan) int64 { return int64(p.CronJobs) },
				Used: func(ctx context.Context) (int64, error) { return p.cron.Count(ctx) }, Free: "hks cron delete NAME",
			},
			{
				Name: "storage", Unit: "bytes", Of: func(p agent.Plan) int64 { return p.StorageBytes }, Used: p.storageUsed,
				Free: "delete volumes that are not needed (hks volume list), or services",
			},
			{
				Name: "functions", Unit: "count", Of: func(p agent.Plan) int64 { return int64(p.Functions) },
				Used: func(ctx context.Context) (int64, error) { return p.functions.Count(ctx) },
				Free: "hks function delete NAME",
			},
			{
				Name: "dedicated nodes", Unit: "count", Of: func(p agent.Plan) int64 { return int64(p.DedicatedNodes) }, Used: p.nodesUsed,
				Free: "hks node remove NODE",
			},
		},
	})
	return err
}

// storageUsed is what the workspace's claims ask for, as the quota counts it.
func (p *parts) storageUsed(ctx context.Context) (int64, error) {
	workspace, err := p.workspace.Current(ctx)
	if agent.CodeOf(err) == agent.CodeNotFound || agent.CodeOf(err) == agent.CodeWorkspaceMissing {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, resource := range workspace.Resources {
		if resource.Name == "storage" {
			return int64(resource.Used), nil
		}
	}
	return 0, nil
}

func (p *parts) nodesUsed(ctx context.Context) (int64, error) {
	nodes, err := p.store.Nodes(ctx)
	return int64(len(nodes)), err
}
