package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/api"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/machine"
)

// addressEvery is between two looks. What differs in two of them in a row is
// told: an address is gone for a moment whenever a lease is renewed.
const addressEvery = 30 * time.Second

const readdress = "hks-installer readdress"

// address watches whether the machine still has the address and the name that
// its cluster was made with.
type address struct {
	file  string
	node  string
	look  func() machine.Identity
	ended func(ctx context.Context, o aiops.Outcome)
	told  func(p agent.Part)
	log   *slog.Logger
	crew  agent.Crew

	mu      sync.Mutex // guards what follows
	changed string     // in words; empty: nothing
}

func (p *parts) newAddress(cfg Config, hub *api.Hub, journal *api.Journal) *address {
	paths := cfg.Settings.Paths()
	return &address{
		file: paths.MachineFile(), node: p.engine.NodeName(), log: cfg.Log,
		look: func() machine.Identity { return machine.Now(fixedAddress(cfg.Settings)) },
		ended: func(ctx context.Context, o aiops.Outcome) {
			p.assistant.Ended(ctx, o)
			if o.Failed {
				journal.Record(ctx, agent.Activity{Level: "warning", Subject: "appliance", Message: o.Summary})
			}
		},
		told: func(p agent.Part) { hub.Publish("system", "address", p) },
	}
}

// fixedAddress is the address that the settings give the node.
func fixedAddress(settings config.Config) string {
	fixed, _ := settings.K3s.Extra["node-ip"].(string)
	return fixed
}

// Start records the address at the first start, and looks from then on.
func (a *address) Start(ctx context.Context) error {
	recorded, err := machine.Read(a.file)
	if err != nil {
		return err
	}
	now := a.look()
	switch {
	case recorded.Address == "" || recorded.Host == "":
		now.Node = a.node
		if err := now.Write(a.file); err != nil {
			return err
		}
	case recorded.Changed(now) == "":
		a.ended(ctx, a.outcome("")) // in case it was told before the start
	default:
		a.note(ctx, recorded.Changed(now))
	}
	if a.crew.Start() {
		a.crew.Go(a.loop)
	}
	return nil
}

// Stop ends that.
func (a *address) Stop(ctx context.Context) error { return a.crew.Stop(ctx, "the look at the address") }

func (a *address) loop(ctx context.Context) {
	tick := time.NewTicker(addressEvery)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		recorded, err := machine.Read(a.file)
		if err != nil {
			a.log.WarnContext(ctx, "the recorded address can't be read", "error", err)
			continue
		}
		changed := recorded.Changed(a.look())
		if changed == last {
			a.note(ctx, changed)
		}
		last = changed
	}
}

// note tells once what has changed, and once that it is as it was.
func (a *address) note(ctx context.Context, changed string) {
	a.mu.Lock()
	before := a.changed
	a.changed = changed
	a.mu.Unlock()
	if before == changed {
		return
	}
	a.told(a.Part())
	a.ended(ctx, a.outcome(changed))
}

func (a *address) outcome(changed string) aiops.Outcome {
	return aiops.Outcome{
		Detector: aiops.AddressChanged, Subject: agent.Subject{Kind: agent.SubjectAppliance, Name: "address"}, Failed: changed != "",
		Title:    "the machine has moved: " + changed,
		Summary:  fmt.Sprintf("The cluster was made under another address or name of this machine: %s. Nodes and certificates still have the old one.", changed),
		Evidence: []agent.Fact{{Name: "change", Value: changed, Why: readdress}},
	}
}

// Part tells how it is.
func (a *address) Part() agent.Part {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := agent.Part{Name: "address", Healthy: a.changed == ""}
	if !p.Healthy {
		p.Message = "the machine has moved: " + a.changed + "; as root on it: " + readdress
	}
	return p
}
