package build

import (
	"strings"
	"testing"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

func TestTheCacheIsShownAndCutBack(t *testing.T) {
	b := newBench(t)
	b.builder.used = buildkit.Usage{Total: 8 << 30, Reclaimable: 6 << 30, Old: 1 << 30}
	cache, err := b.m.Cache(t.Context())
	if err != nil || cache != (agent.BuildCache{UsedBytes: 8 << 30, FreeableBytes: 6 << 30, OldBytes: 1 << 30, BudgetBytes: 9 << 30}) {
		t.Errorf("%+v, %v", cache, err)
	}
	for _, step := range []struct {
		all         bool
		freed, left int64
	}{{false, 1 << 30, 7 << 30}, {true, 5 << 30, 2 << 30}, {true, 0, 2 << 30}} {
		done, err := b.m.PruneCache(t.Context(), step.all, "owner")
		if err != nil || done.FreedBytes != step.freed || done.Cache.UsedBytes != step.left {
			t.Errorf("%+v: %+v, %v", step, done, err)
		}
	}
	if len(b.told) != 3 || !strings.Contains(b.told[0].Message, "not used in a week") || b.told[0].By != "owner" {
		t.Errorf("told %+v", b.told)
	}
	b.builder.fail["cache"] = agent.Errorf(agent.CodeBuilderAway, "hks status", "the builder is away")
	if _, err := b.m.Cache(t.Context()); agent.CodeOf(err) != agent.CodeBuilderAway {
		t.Error(err)
	}
	if _, err := b.m.PruneCache(t.Context(), true, "owner"); agent.CodeOf(err) != agent.CodeBuilderAway {
		t.Error(err)
	}
}
