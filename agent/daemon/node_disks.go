package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"hks.dev/hks/agent/disk"
)

const (
	diskHeader = 10 * time.Second // to send the head of a question
	diskIdle   = 2 * time.Minute
	diskEnd    = 5 * time.Second // for what is under way when the agent ends
)

// mountDisks mounts the disks that are on the machine. One that can't be is
// told by the appliance, which asks for it again.
func (n *Node) mountDisks(ctx context.Context) {
	ids, err := n.disks.List()
	if err != nil {
		n.cfg.Log.ErrorContext(ctx, "the machine's disks can't be listed", "error", err)
	}
	for _, id := range ids {
		if whole, err := n.disks.Exists(id); err == nil && !whole {
			continue // it is arriving
		}
		if err := n.disks.Mount(ctx, id); err != nil {
			n.cfg.Log.ErrorContext(ctx, "a disk can't be mounted", "disk", id, "error", err)
		}
	}
}

// serveDisks serves them to the appliance until ctx ends.
func (n *Node) serveDisks(ctx context.Context) {
	if n.plan.Disks.Certificate == "" {
		return // it joined when nodes had none
	}
	for {
		err := n.serveDisksOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		n.cfg.Log.ErrorContext(ctx, "the machine's disks are not served", "error", err, "again in", nodePause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(nodePause):
		}
	}
}

func (n *Node) serveDisksOnce(ctx context.Context) error {
	keys, err := disk.ServerTLS(n.plan.Disks)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(disk.Port)))
	if err != nil {
		return fmt.Errorf("listening for the appliance: %w", err)
	}
	server := &http.Server{Handler: n.disks.Handler(), ReadHeaderTimeout: diskHeader, IdleTimeout: diskIdle}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), diskEnd)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			_ = server.Close() // what is under way is done again
		}
	})
	defer stop()
	if err := server.Serve(tls.NewListener(listener, keys)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving disks: %w", err)
	}
	return nil
}
