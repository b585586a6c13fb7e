package daemon

import (
	"context"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/market"
	"hks.dev/hks/agent/volume"
)

// buildVolumes makes what makes volumes.
func (p *parts) buildVolumes(cfg Config, cluster *kube.Client, hub *api.Hub, journal *api.Journal) error {
	disks, err := disk.New(disk.Config{Dir: cfg.Settings.Paths().Volumes()})
	if err != nil {
		return err
	}
	p.volumes, err = volume.New(volume.Config{
		Cluster: cluster, Workspace: p.workspace, Disks: disks, Ledger: p.store,
		Remote: newFarDisks(p.nodes, p.diskKeys, cfg.Settings.Paths().Volumes()).of,
		Node:   p.engine.NodeName(), Grace: cfg.Settings.Volumes.Grace, Removed: p.removedServices, FullIn: p.volumeFullIn,
		Publish: hub.Publish, Record: journal.Record, Log: cfg.Log,
	})
	return err
}

// volumeFullIn asks the assistant, which is made after the volumes.
func (p *parts) volumeFullIn(claim string) (time.Duration, bool) {
	if p.assistant == nil {
		return 0, false
	}
	return p.assistant.VolumeFullIn(claim)
}

// removedServices tells until when the claims of removed services stay.
func (p *parts) removedServices(ctx context.Context) (map[string]time.Time, error) {
	services, err := p.store.Services(ctx)
	if err != nil {
		return nil, err
	}
	until := map[string]time.Time{}
	for _, s := range services {
		if s.Status == agent.ServiceRemoved {
			until[market.ClaimName(s.Name)] = s.KeptUntil
		}
	}
	return until, nil
}
