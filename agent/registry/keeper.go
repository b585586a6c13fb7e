package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
)

const (
	lookEvery  = time.Hour      // how often the keeper looks
	pruneEvery = 24 * time.Hour // how often it cleans up at most
)

// keeper holds the images within their budget, in the background.
type keeper struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func (r *Registry) startKeeper() *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.keepBudget(ctx)
			}
		}
	}()
	return k
}

// stop ends it, a removal too: what is left over goes the next time.
func (k *keeper) stop(ctx context.Context) error {
	k.cancel()
	select {
	case <-k.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the registry's clean-up: %w", ctx.Err())
	}
}

// keepBudget cleans up when the images are over their budget, at most daily
// and not while an image is on its way: then the next look is early enough.
func (r *Registry) keepBudget(ctx context.Context) {
	if r.cfg.Now().Sub(r.prunedAt()) < pruneEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pruneWithin)
	defer cancel()
	usage, err := r.Usage(ctx)
	if err == nil && usage.UsedBytes > r.cfg.Budget {
		_, err = r.prune(ctx, r.cfg.Budget, false, "")
	}
	switch {
	case err == nil, ctx.Err() != nil:
	case agent.CodeOf(err) == agent.CodeConflict:
		r.cfg.Log.InfoContext(ctx, "the registry's clean-up waits", "reason", err)
	default:
		r.cfg.Log.ErrorContext(ctx, "the registry was not cleaned up", "error", err)
	}
}

// prunes is kept over restarts.
type prunes struct {
	Last time.Time `json:"last"`
}

func (r *Registry) prunesFile() string { return filepath.Join(r.cfg.Dir, "prunes.json") }

// prunedAt is when the last clean-up was; zero when there was none.
func (r *Registry) prunedAt() time.Time {
	var kept prunes
	text, err := os.ReadFile(r.prunesFile())
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return time.Time{} // one more clean-up than needed does no harm
	}
	return kept.Last
}

func (r *Registry) markPruned(ctx context.Context) {
	text, err := json.Marshal(prunes{Last: r.cfg.Now().UTC()})
	if err == nil {
		err = writeFile(r.prunesFile(), text)
	}
	if err != nil { // the next one comes too early, no more
		r.cfg.Log.WarnContext(ctx, "keeping when the registry was cleaned up", "error", err)
	}
}
