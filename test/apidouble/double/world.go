package double

import (
	"context"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// world is the made-up cluster: everything in memory, moved by the clock.
type world struct {
	speed   float64
	publish func(kind, subject string, object any)
	record  func(ctx context.Context, activity agent.Activity)

	life context.Context // ends with the double
	end  context.CancelFunc
	jobs sync.WaitGroup

	mu        sync.Mutex // guards what follows
	workspace *agent.Workspace
	broken    map[string]bool // workspace names that failed already
	apps      map[string]*app
	images    []agent.Image
	changed   chan struct{} // closed and replaced at each change
}

func newWorld(speed float64, publish func(kind, subject string, object any), record func(context.Context, agent.Activity)) *world {
	life, end := context.WithCancel(context.Background())
	return &world{
		speed: speed, publish: publish, record: record, life: life, end: end,
		broken: map[string]bool{}, apps: map[string]*app{}, images: builtInImages(), changed: make(chan struct{}),
	}
}

func (w *world) stop() {
	w.end()
	w.jobs.Wait()
}

// wait passes the time d, shortened by the speed; false when the double ends
// first.
func (w *world) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(time.Duration(float64(d) / w.speed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-w.life.Done():
	}
	return false
}

// wake tells those who wait for a change. The caller holds w.mu.
func (w *world) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) tell(level, subject, by, message string) {
	w.record(w.life, agent.Activity{Level: level, Subject: subject, Message: message, By: by})
}

func notFound(what string) error {
	return &agent.Error{Code: agent.CodeNotFound, Message: "there is no " + what, Fix: "see what there is with: hks app list"}
}
