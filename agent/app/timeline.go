package app

import (
	"context"
	"iter"
	"sync"

	"hks.dev/hks/agent"
)

// Bounds of what is remembered of releases' progress.
const (
	timelineLength = 300
	timelinesKept  = 5 // an app
)

// timeline is the progress of one release, for replay and for following.
type timeline struct {
	mu      sync.Mutex // guards the rest
	steps   []agent.Progress
	dropped int           // steps let go of at the begin
	changed chan struct{} // closed at the next step
}

func newTimeline() *timeline { return &timeline{changed: make(chan struct{})} }

// add keeps one more step, unless it says the same as the last or follows
// the end. It tells whether it was kept.
func (t *timeline) add(p agent.Progress) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.steps); n > 0 {
		last := t.steps[n-1]
		if last.Done || (last.Step == p.Step && last.Message == p.Message && !p.Done) {
			return false
		}
	}
	if len(t.steps) == timelineLength {
		t.steps = append(t.steps[:0:0], t.steps[1:]...)
		t.dropped++
	}
	t.steps = append(t.steps, p)
	close(t.changed)
	t.changed = make(chan struct{})
	return true
}

// after returns the steps from number on, and what is closed when there are more.
func (t *timeline) after(number int) (steps []agent.Progress, next int, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := max(number-t.dropped, 0)
	return t.steps[from:len(t.steps):len(t.steps)], t.dropped + len(t.steps), t.changed
}

// follow yields all steps, then each as it comes, until the last or ctx ends.
func (t *timeline) follow(ctx context.Context) iter.Seq2[agent.Progress, error] {
	return func(yield func(agent.Progress, error) bool) {
		for next := 0; ; {
			steps, after, changed := t.after(next)
			next = after
			for _, p := range steps {
				if !yield(p, nil) || p.Done {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

// timelines holds the progress of the latest releases of all apps.
type timelines struct {
	mu  sync.Mutex // guards all
	all map[key]map[int]*timeline
}

// of returns the timeline of a release, a new one where there is none.
func (t *timelines) of(k key, number int) *timeline {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[key]map[int]*timeline{}
	}
	if t.all[k] == nil {
		t.all[k] = map[int]*timeline{}
	}
	line := t.all[k][number]
	if line == nil {
		line = newTimeline()
		t.all[k][number] = line
		for n := range t.all[k] {
			if n <= number-timelinesKept {
				delete(t.all[k], n)
			}
		}
	}
	return line
}

// known returns the timeline of a release, nil where there is none.
func (t *timelines) known(k key, number int) *timeline {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[k][number]
}

// forget lets go of an app's timelines.
func (t *timelines) forget(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, k)
}
