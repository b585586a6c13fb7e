package agent

import (
	"context"
	"fmt"
	"sync"
)

// Crew is the goroutines of a component: they begin when it starts, their
// context ends when it stops, and its stop waits for them. The zero value is
// ready. Start and Stop are its component's; Go may be called between them by
// anyone.
type Crew struct {
	mu   sync.Mutex // guards ctx and end
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

// Start begins the crew's time; it tells whether it had not begun yet.
func (c *Crew) Start() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return false
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	return true
}

// Go has a goroutine do its work until it returns, or the crew is stopped. In a
// crew that is not started nothing is done.
func (c *Crew) Go(work func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return
	}
	ctx := c.ctx
	c.work.Go(func() { work(ctx) })
}

// Stop ends the crew's time and waits until all have returned, as long as ctx
// lasts. Stopping twice is fine. What names the component in the error.
func (c *Crew) Stop(ctx context.Context, what string) error {
	c.mu.Lock()
	end := c.end
	c.end = nil
	c.mu.Unlock()
	if end == nil {
		return nil
	}
	end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.work.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", what, ctx.Err())
	}
}
