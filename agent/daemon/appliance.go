package daemon

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/backup"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/machine"
	"hks.dev/hks/agent/s3"
	"hks.dev/hks/agent/update"
)

// buildAppliance makes what keeps the appliance itself.
func (p *parts) buildAppliance(cfg Config, hub *api.Hub, journal *api.Journal) (err error) {
	paths := cfg.Settings.Paths()
	disks, err := disk.New(disk.Config{Dir: paths.Volumes()})
	if err != nil {
		return err
	}
	p.backups, err = backup.New(backup.Config{
		Ledger: p.store, Disks: disks, Remote: s3.New(), Settings: cfg.Settings, Version: cfg.Version, Node: p.engine.NodeName(),
		Address: func() string { return machine.Now(fixedAddress(cfg.Settings)).Address }, Plan: p.planInForce, Ended: p.applianceEnded,
		Publish: hub.Publish, Record: journal.Record, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	p.updates, err = update.New(update.Config{
		URL: cfg.Settings.Update.URL, Key: cfg.Settings.Update.Key, Version: cfg.Version, Publish: hub.Publish, Log: cfg.Log,
	})
	return err
}

// planInForce is the workspace's plan; the zero plan before there is one.
func (p *parts) planInForce(ctx context.Context) (agent.Plan, error) {
	workspace, err := p.workspace.Current(ctx)
	if code := agent.CodeOf(err); code == agent.CodeNotFound || code == agent.CodeWorkspaceMissing {
		return agent.Plan{}, nil
	}
	return workspace.Plan, err
}

// applianceEnded tells the assistant how a backup of the appliance, or a
// drill, ended.
func (p *parts) applianceEnded(ctx context.Context, j agent.ApplianceJob) {
	what := map[string]string{agent.ApplianceBackupJob: "backup of the appliance", agent.ApplianceDrillJob: "drill over a backup of the appliance"}[j.Kind]
	o := aiops.Outcome{
		Detector: aiops.BackupFailed, Subject: agent.Subject{Kind: agent.SubjectAppliance, Name: j.Kind}, Failed: j.Status == agent.RunFailed,
		Title: "the " + what + " failed", Summary: "The " + what + " failed.",
	}
	if j.Failure != nil {
		o.Summary = fmt.Sprintf("The %s failed: %s", what, j.Failure.Message)
		o.Evidence = []agent.Fact{{Name: "reason", Value: j.Failure.Message, Why: j.Failure.Fix}}
	}
	p.assistant.Ended(ctx, o)
}
