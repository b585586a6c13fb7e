package build

import (
	"context"
	"fmt"

	"hks.dev/hks/agent"
)

// Cache tells what the builder keeps for later builds. It wakes the builder.
func (m *Manager) Cache(ctx context.Context) (agent.BuildCache, error) {
	usage, err := m.cfg.Cache.DiskUsage(ctx)
	if err != nil {
		return agent.BuildCache{}, err
	}
	return agent.BuildCache{UsedBytes: usage.Total, OldBytes: usage.Old, FreeableBytes: usage.Reclaimable, BudgetBytes: m.cfg.Budget}, nil
}

// PruneCache removes from the cache what no build used in a week, or with all
// everything; builds at work keep what they use.
func (m *Manager) PruneCache(ctx context.Context, all bool, by string) (agent.BuildCachePrune, error) {
	freed, err := m.cfg.Cache.Prune(ctx, all)
	if err != nil {
		return agent.BuildCachePrune{}, err
	}
	what := "what was not used in a week was"
	if all {
		what = "all of it was"
	}
	m.cfg.Activity(ctx, agent.Activity{Level: "info", Subject: "builder", Message: fmt.Sprintf("the build cache was cut back: %s removed, %s freed", what, megabytes(freed)), By: by})
	cache, err := m.Cache(ctx)
	return agent.BuildCachePrune{FreedBytes: freed, Cache: cache}, err
}
