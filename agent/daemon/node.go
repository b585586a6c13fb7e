package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
	"hks.dev/hks/agent/k3s"
)

// nodePause is between two attempts to start a node's engine.
const nodePause = 10 * time.Second

// Node is the agent of a machine that has joined another machine's appliance:
// it runs the engine and nothing else.
type Node struct {
	cfg    Config
	plan   agent.JoinPlan
	engine *k3s.Engine
	k3s    supervised
	disks  *disk.Disks
}

// NewNode reads what the machine has joined.
func NewNode(cfg Config) (*Node, error) {
	paths := cfg.Settings.Paths()
	data, err := os.ReadFile(paths.NodeFile())
	if err != nil {
		return nil, agent.Errorf(agent.CodeInvalid, "let it join with the line that hks node add shows", "this machine has not joined an appliance: %w", err)
	}
	n := &Node{cfg: cfg}
	if err := json.Unmarshal(data, &n.plan); err != nil {
		return nil, fmt.Errorf("reading %s: %w", paths.NodeFile(), err)
	}
	if n.disks, err = disk.New(disk.Config{Dir: paths.Volumes()}); err != nil {
		return nil, err
	}
	s, err := newSupervisor(cfg)
	if err != nil {
		return nil, err
	}
	s.cfg.Settings.K3s.NodeName = n.plan.Node
	n.engine, n.k3s, err = s.engine(nil, &k3s.Join{Server: n.plan.Server, Token: n.plan.Token, Labels: n.plan.Labels, Taints: n.plan.Taints})
	return n, err
}

// Run runs the engine until ctx ends, and serves the machine's disks to the
// appliance. Containers go on running then. Disks are mounted before there is
// anything that could use them.
func (n *Node) Run(ctx context.Context) error {
	if err := n.cfg.Notifier.Ready(ctx); err != nil {
		return err
	}
	n.mountDisks(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		n.serveDisks(ctx)
	}()
	defer func() { <-served }()
	for {
		err := n.start(ctx)
		if err == nil || ctx.Err() != nil {
			break
		}
		n.cfg.Log.ErrorContext(ctx, "the node is not up", "error", err, "again in", nodePause)
		select {
		case <-ctx.Done():
		case <-time.After(nodePause):
		}
	}
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	n.engine.Detach()
	return errors.Join(n.cfg.Notifier.Stopping(ending), n.k3s.Detach(ending))
}

func (n *Node) start(ctx context.Context) error {
	mirror := n.plan.Registry
	ca := n.cfg.Settings.Paths().State("registry-ca.crt")
	if err := os.MkdirAll(filepath.Dir(ca), 0o700); err != nil {
		return fmt.Errorf("placing the registry's authority: %w", err)
	}
	if err := os.WriteFile(ca, []byte(mirror.CA), 0o644); err != nil {
		return fmt.Errorf("placing the registry's authority: %w", err)
	}
	_, err := n.engine.WriteRegistries(k3s.Registries{
		Mirrors: map[string]k3s.Mirror{mirror.Host: {Endpoint: []string{mirror.Endpoint}}},
		Configs: map[string]k3s.RegistryConfig{mirror.Endpoint[len("https://"):]: {
			Auth: &k3s.RegistryAuth{Username: mirror.Username, Password: mirror.Password},
			TLS:  &k3s.RegistryTLS{CAFile: ca},
		}},
	})
	if err != nil {
		return err
	}
	return n.engine.Start(ctx)
}
