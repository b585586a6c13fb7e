package volume

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Pauses between two turns when nothing changes.
const (
	pauseBusy   = time.Second // something is on its way
	pauseFailed = 5 * time.Second
	pauseIdle   = 10 * time.Second
)

// Manager makes volumes and looks after them. It is safe for concurrent use.
type Manager struct {
	cfg  Config
	wake chan struct{}
	haul chan struct{} // wakes what carries volumes
	crew agent.Crew

	mu    sync.Mutex // held over each turn and each change of the ledger
	watch *watch     // nil until the workspace is known
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Cluster == nil || cfg.Workspace == nil || cfg.Disks == nil || cfg.Ledger == nil || cfg.Node == "" || cfg.Grace <= 0 {
		return nil, errors.New("volumes need a cluster, a workspace, disks, a ledger, a node and a grace time")
	}
	if cfg.Remote == nil {
		cfg.Remote = func(_ context.Context, node string) (Disks, error) { return nil, noDisks(node) }
	}
	if cfg.Removed == nil {
		cfg.Removed = func(context.Context) (map[string]time.Time, error) { return nil, nil }
	}
	if cfg.FullIn == nil {
		cfg.FullIn = func(string) (time.Duration, bool) { return 0, false }
	}
	if cfg.Publish == nil {
		cfg.Publish = func(string, string, any) {}
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, agent.Activity) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg, wake: make(chan struct{}, 1), haul: make(chan struct{}, 1)}, nil
}

// Mount mounts all disks that claims have; it comes before the engine, so that
// pods find them. One that can't be mounted says so in its row, and the pods on
// it wait.
func (m *Manager) Mount(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows, err := m.cfg.Ledger.Volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range rows {
		if err := m.mountAtStart(ctx, v); err != nil {
			m.cfg.Log.ErrorContext(ctx, "a volume can't be mounted", "volume", v.Claim, "id", v.ID, "error", err)
			if err := m.note(ctx, v, err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Manager) mountAtStart(ctx context.Context, v store.Volume) error {
	if v.Node != "" || (v.Status != agent.VolumeReady && v.Status != agent.VolumeGrowing) {
		return nil // the machine does it itself, or the next turn takes it up
	}
	if v.Status == agent.VolumeGrowing {
		// After a start of the machine nobody uses it, which is the chance.
		if idle, err := m.cfg.Disks.Idle(v.ID); err != nil {
			return err
		} else if idle {
			if err := m.cfg.Disks.Grow(ctx, v.ID, v.Asked); err != nil {
				m.cfg.Log.WarnContext(ctx, "a volume could not grow", "volume", v.Claim, "error", err)
			}
		} else if v.Message == waitsForEnd {
			return nil // mounted, its next pod would start before it has grown
		}
	}
	return m.cfg.Disks.Mount(ctx, v.ID)
}

// Start begins to look after the claims.
func (m *Manager) Start(context.Context) error {
	if m.crew.Start() {
		m.crew.Go(m.loop)
		m.crew.Go(m.carry)
	}
	return nil
}

// Stop ends that; volumes stay mounted, as pods go on.
func (m *Manager) Stop(ctx context.Context) error {
	return m.crew.Stop(ctx, "the volumes")
}

func (m *Manager) loop(ctx context.Context) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.watch != nil {
			m.watch.close()
			m.watch = nil
		}
	}()
	for {
		pause := pauseIdle
		if err := m.turn(ctx, &pause); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "looking after the volumes", "error", err)
			pause = pauseFailed
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// put writes a row and tells listeners.
func (m *Manager) put(ctx context.Context, v store.Volume) error {
	if err := m.cfg.Ledger.PutVolume(ctx, v); err != nil {
		return err
	}
	m.cfg.Publish("volume", v.Claim, m.viewOf(v))
	return nil
}

// note keeps what is in the way of a volume, and tells it once.
func (m *Manager) note(ctx context.Context, v store.Volume, message string) error {
	if v.Message == message {
		return nil
	}
	v.Message = message
	if message != "" && message != waitsForEnd {
		m.cfg.Record(ctx, agent.Activity{Level: "warning", Subject: "volume/" + v.Claim, Message: message})
	}
	return m.put(ctx, v)
}

// disksOf are the disks of the machine that a volume is on.
func (m *Manager) disksOf(ctx context.Context, node string) (Disks, error) {
	if node == "" || node == m.cfg.Node {
		return m.cfg.Disks, nil
	}
	return m.cfg.Remote(ctx, node)
}

// machineOf is the name of a node as the ledger has it: nothing for the
// appliance's own.
func (m *Manager) machineOf(node string) string {
	if node == m.cfg.Node {
		return ""
	}
	return node
}

func (m *Manager) nodeOf(machine string) string { return cmp.Or(machine, m.cfg.Node) }

func noDisks(node string) *agent.Error {
	return agent.Errorf(agent.CodeNotFound, "remove it and let it join again with: hks node add NAME; hks node list shows the nodes", "%s has no disks for volumes: it is gone, or it joined before nodes had any", node)
}
