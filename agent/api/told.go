package api

import (
	"maps"
	"sync"
	"time"
)

// Bounds of what is remembered as told.
const (
	tellAgain = 10 * time.Minute
	maxTold   = 1024
)

// told remembers what was told a moment ago, so that a page that opens a
// connection for each of its files does not fill the activity list.
type told struct {
	now func() time.Time

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

func newTold(now func() time.Time) *told { return &told{now: now, last: map[string]time.Time{}} }

// first tells whether what has not been told for a while.
func (t *told) first(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if at, ok := t.last[what]; ok && now.Sub(at) < tellAgain {
		return false
	}
	maps.DeleteFunc(t.last, func(_ string, at time.Time) bool { return now.Sub(at) >= tellAgain })
	if len(t.last) < maxTold {
		t.last[what] = now
	}
	return true
}
