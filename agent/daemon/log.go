package daemon

import (
	"context"
	"log/slog"
	"time"

	"hks.dev/hks/agent/process"
)

// trimEvery is how often the agent's own log is looked at.
const trimEvery = time.Minute

// logKeeper keeps the agent's own log within its bound where the agent writes
// to a file, that is, where there is no journal.
type logKeeper struct {
	file process.Log
	log  *slog.Logger

	cancel context.CancelFunc
	ended  chan struct{}
}

func newLogKeeper(path string, log *slog.Logger) *logKeeper {
	return &logKeeper{file: process.Log{Path: path}, log: log}
}

// Start looks after the file in the background.
func (k *logKeeper) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel, k.ended = cancel, make(chan struct{})
	go func() {
		defer close(k.ended)
		tick := time.NewTicker(trimEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := k.file.Trim(); err != nil {
					k.log.WarnContext(ctx, "keeping the log within its bound", "error", err)
				}
			}
		}
	}()
	return nil
}

// Stop ends it.
func (k *logKeeper) Stop(ctx context.Context) error {
	k.cancel()
	select {
	case <-k.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
