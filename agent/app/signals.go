package app

import "sync"

// signals wakes whoever waits for changes of an app. A wake-up carries
// nothing: who is woken looks again.
type signals struct {
	mu      sync.Mutex                         // guards waiting
	waiting map[key]map[chan struct{}]struct{} // channels hold one wake-up
}

// subscribe returns a channel that gets a value after each change, changes in
// quick succession as one, and what ends that.
func (s *signals) subscribe(k key) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[key]map[chan struct{}]struct{}{}
	}
	if s.waiting[k] == nil {
		s.waiting[k] = map[chan struct{}]struct{}{}
	}
	s.waiting[k][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting[k], c)
		if len(s.waiting[k]) == 0 {
			delete(s.waiting, k)
		}
	}
}

// raise wakes everybody who waits for the app.
func (s *signals) raise(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.waiting[k] {
		wake(c)
	}
}

// raiseAll wakes everybody.
func (s *signals) raiseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, channels := range s.waiting {
		for c := range channels {
			wake(c)
		}
	}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a wake-up is on its way already
	}
}
