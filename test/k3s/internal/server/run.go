// Package server puts the stand-in together: the control plane of a server, and the joining of an agent.
package server

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"hks.dev/hks/test/k3s/internal/node"
	"hks.dev/hks/test/k3s/internal/payload"
	"hks.dev/hks/test/k3s/internal/proc"
	"hks.dev/hks/test/k3s/internal/settings"
)

// Run runs a server or an agent until a signal comes or a part of it dies. The pods' containers stay.
func Run(cfg *settings.Settings) error {
	log.SetFlags(log.LstdFlags)
	if os.Geteuid() != 0 {
		return fmt.Errorf("must run as root")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	dir, err := payload.Extract(cfg.ExtractDir)
	if err != nil {
		return err
	}
	log.Printf("level=info msg=\"Starting k3s %s %s\" data-dir=%s node=%s", cfg.Role, payload.Version, cfg.DataDir, cfg.NodeName)
	os.Setenv("PATH", proc.Path(dir.Bin()))
	group := proc.NewGroup(proc.Environ())
	storeCtx, stopStore := context.WithCancel(context.Background())
	r := &runner{cfg: cfg, group: group, storeCtx: storeCtx}
	defer r.store.Wait()
	defer stopStore()
	defer group.Stop()

	if r.node, err = node.New(cfg, dir, group); err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		if cfg.Role == settings.Agent {
			started <- r.startAgent(ctx)
		} else {
			started <- r.startServer(ctx)
		}
	}()
	for {
		select {
		case err := <-started:
			if err != nil && ctx.Err() == nil {
				return err
			}
			started = nil
		case err := <-group.Failed:
			cancel()
			return err
		case <-ctx.Done():
			log.Printf("level=info msg=\"Shutting down; containers go on\"")
			return nil
		}
	}
}

// A runner is one run of a server or an agent.
type runner struct {
	cfg      *settings.Settings
	group    *proc.Group
	node     *node.Node
	storeCtx context.Context // the datastore outlives the components
	store    sync.WaitGroup
}
