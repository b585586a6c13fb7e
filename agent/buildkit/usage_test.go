package buildkit

import (
	"testing"
	"time"

	"github.com/moby/buildkit/client"
)

func TestUsageOf(t *testing.T) {
	limit := time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC)
	old, young := limit.Add(-time.Hour), limit.Add(time.Hour)
	record := func(id string, size int64, used *time.Time, inUse bool, parents ...string) *client.UsageInfo {
		return &client.UsageInfo{ID: id, Size: size, CreatedAt: old, LastUsedAt: used, InUse: inUse, Parents: parents}
	}
	for title, tt := range map[string]struct {
		records []*client.UsageInfo
		want    Usage
	}{
		"nothing":                {nil, Usage{}},
		"old":                    {[]*client.UsageInfo{record("a", 1, &old, false), record("never used", 2, nil, false)}, Usage{3, 3, 3}},
		"young":                  {[]*client.UsageInfo{record("a", 1, &young, false), record("b", 2, &old, false)}, Usage{3, 3, 2}},
		"in use":                 {[]*client.UsageInfo{record("a", 1, &old, true), record("b", 2, &old, false)}, Usage{3, 2, 2}},
		"parent of what stays":   {[]*client.UsageInfo{record("a", 1, &old, false), record("b", 2, &old, false, "a"), record("c", 4, &young, false, "b")}, Usage{7, 7, 0}},
		"parent of what is used": {[]*client.UsageInfo{record("a", 1, &old, false), record("b", 2, &old, true, "a"), record("c", 4, &old, false, "a", "gone")}, Usage{7, 4, 4}},
	} {
		if got := usageOf(tt.records, limit); got != tt.want {
			t.Errorf("%s: %+v, want %+v", title, got, tt.want)
		}
	}
}
