package node

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Cluster is the connection to Kubernetes.
type Cluster interface{ Interface() kubernetes.Interface }

// Store keeps the machines that were invited.
type Store interface {
	Nodes(ctx context.Context) ([]store.Node, error)
	Node(ctx context.Context, name string) (store.Node, bool, error)
	NodeByToken(ctx context.Context, token []byte) (store.Node, bool, error)
	PutNode(ctx context.Context, n store.Node) error
	DeleteNode(ctx context.Context, name string) error
}

// Workspaces tells the workspace and its plan.
type Workspaces interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Tokens makes the cluster's own secrets by which one machine can join.
type Tokens interface {
	CreateJoinToken(ctx context.Context, ttl time.Duration) (string, error)
}

// Config is what the manager needs. Own, Version, Server, Files and Registry
// describe the appliance to the machines that join.
type Config struct {
	Cluster    Cluster
	Store      Store
	Workspaces Workspaces
	Tokens     Tokens

	Own      string                           // name of the appliance's own node
	Version  string                           // of the programs
	Server   func(host string) string         // the cluster's address, reached by host
	Files    func() ([]agent.JoinFile, error) // what a machine fetches
	Registry func(host string, plan *agent.JoinPlan) error
	// Disks makes the keys of a machine that joins.
	Disks func(node string) (agent.DiskKeys, error)

	// Evacuate moves apps back to the shared pool that can't run without the
	// node; last says that it is the only dedicated one that takes workloads.
	// It returns those that are on their way.
	Evacuate func(ctx context.Context, node string, last bool, by string) ([]string, error)

	Changed func() // a node came or went
	Publish func(kind, name string, data any)
	Record  func(context.Context, agent.Activity)
	Now     func() time.Time
	Log     *slog.Logger

	InviteLife time.Duration // default 10 min
	Poll       time.Duration // how often nodes are looked at; default 5 s
	Silence    time.Duration // a node that is not heard of for so long has failed; default 1 min
}

// Manager keeps the nodes. It is safe for concurrent use.
type Manager struct {
	cfg  Config
	wake chan struct{}
	crew agent.Crew

	mu sync.Mutex // guards the rows' read-modify-write
}

// New checks the settings.
func New(cfg Config) (*Manager, error) {
	if cfg.Cluster == nil || cfg.Store == nil || cfg.Workspaces == nil || cfg.Tokens == nil || cfg.Server == nil || cfg.Files == nil || cfg.Registry == nil {
		return nil, errors.New("the nodes need a cluster, a store, a workspace, tokens and what machines fetch")
	}
	if cfg.Disks == nil {
		cfg.Disks = func(string) (agent.DiskKeys, error) { return agent.DiskKeys{}, nil }
	}
	if cfg.Evacuate == nil {
		cfg.Evacuate = func(context.Context, string, bool, string) ([]string, error) { return nil, nil }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
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
	cfg.InviteLife = cmp.Or(cfg.InviteLife, 10*time.Minute)
	cfg.Poll = cmp.Or(cfg.Poll, 5*time.Second)
	cfg.Silence = cmp.Or(cfg.Silence, time.Minute)
	return &Manager{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Start begins to look after the nodes.
func (m *Manager) Start(context.Context) error {
	if m.crew.Start() {
		m.crew.Go(m.keep)
	}
	return nil
}

// Stop ends that; what was begun goes on at the next start.
func (m *Manager) Stop(ctx context.Context) error { return m.crew.Stop(ctx, "to look after the nodes") }

// change reads a row, has it changed and writes it.
func (m *Manager) change(ctx context.Context, name string, with func(*store.Node) error) (store.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok, err := m.cfg.Store.Node(ctx, name)
	if err != nil {
		return store.Node{}, err
	}
	if !ok {
		return store.Node{}, notFound(name)
	}
	if err := with(&row); err != nil {
		return store.Node{}, err
	}
	row.ChangedAt = m.cfg.Now()
	if err := m.cfg.Store.PutNode(ctx, row); err != nil {
		return store.Node{}, err
	}
	m.cfg.Publish("node", name, nil)
	return row, nil
}

func notFound(name string) *agent.Error {
	return agent.Errorf(agent.CodeNotFound, "list them with: hks node list", "there is no node %q", name)
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
