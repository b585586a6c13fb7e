package daemon

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"hks.dev/hks/agent/hosts"
)

// names keeps apps' host names in the machine's table of hosts while the
// domain is one that no name server knows. Browsers and curl resolve
// *.localhost by themselves (RFC 6761); this is for everything else.
type names struct {
	file   hosts.File
	needed bool
	list   func(context.Context) ([]string, error)
	log    *slog.Logger

	changed chan struct{}
	cancel  context.CancelFunc
	ended   chan struct{}
}

// writeWithin bounds one change of the table.
const writeWithin = 10 * time.Second

func newNames(file hosts.File, domain string, log *slog.Logger) *names {
	local := domain == "localhost" || strings.HasSuffix(domain, ".localhost")
	return &names{file: file, needed: local, log: log, changed: make(chan struct{}, 1)}
}

// Changed says that the list may be another now. It never blocks.
func (n *names) Changed() {
	select {
	case n.changed <- struct{}{}:
	default: // a change is noted already
	}
}

// Start keeps the table true in the background.
func (n *names) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan struct{})
	go func() {
		defer close(n.ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-n.changed:
				n.write(ctx)
			}
		}
	}()
	return nil
}

// Stop leaves the table as it is: apps go on serving without the agent.
func (n *names) Stop(ctx context.Context) error {
	n.cancel()
	select {
	case <-n.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *names) write(ctx context.Context) {
	if !n.needed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	list, err := n.list(ctx)
	if err != nil {
		n.log.WarnContext(ctx, "listing host names", "error", err)
		return
	}
	table := make(map[string]string, len(list))
	for _, host := range list {
		table[host] = "127.0.0.1"
	}
	if err := n.file.Set(ctx, table); err != nil {
		n.log.WarnContext(ctx, "keeping host names in the machine's table", "error", err)
	}
}
