package api

import (
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Sizes of the hub: how far back a listener can resume, and how far behind
// one may fall before it is dropped.
const (
	hubRing  = 1024
	hubQueue = 256
)

// HubConfig is what a hub needs.
type HubConfig struct {
	Log *slog.Logger     // default: none
	Now func() time.Time // default time.Now
}

// Hub passes events from those who make them to those who listen. It keeps
// the last ones so that a listener whose connection broke misses nothing.
type Hub struct {
	cfg HubConfig

	mu        sync.Mutex    // guards what follows
	ring      []agent.Event // the last events, oldest first
	last      int64         // the newest event's ID
	listeners map[*listener]bool
}

// listener is one who listens. Its queue is closed when it fell too far behind.
type listener struct {
	queue  chan agent.Event
	missed []agent.Event // what it missed, oldest first
	reset  bool          // what it missed is no longer known
	from   int64         // the newest event before the queue's first
}

// NewHub makes a hub. Event IDs go on growing over a restart, since they
// begin with the time.
func NewHub(cfg HubConfig) *Hub {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{cfg: cfg, last: cfg.Now().UnixMicro(), listeners: map[*listener]bool{}}
}

// Publish tells all listeners that an object changed; nil means that it is
// gone. It never waits for a listener.
func (h *Hub) Publish(kind, subject string, object any) {
	event := agent.Event{Time: h.cfg.Now().UTC(), Kind: kind, Subject: subject}
	if object != nil {
		form, err := encode(object) // now, since the object may change later
		if err != nil {
			h.cfg.Log.Error("an event was lost", "kind", kind, "subject", subject, "error", err)
			return
		}
		event.Object = json.RawMessage(form)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	event.ID = h.last
	if len(h.ring) == hubRing {
		h.ring = append(h.ring[:0], h.ring[1:]...)
	}
	h.ring = append(h.ring, event)
	for l := range h.listeners {
		select {
		case l.queue <- event:
		default:
			delete(h.listeners, l)
			close(l.queue)
		}
	}
}

// listen adds a listener that last saw the event after; 0 means that it
// begins now.
func (h *Hub) listen(after int64) *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &listener{queue: make(chan agent.Event, hubQueue), from: h.last}
	h.listeners[l] = true
	if after == 0 || after == h.last {
		return l
	}
	oldest := h.last - int64(len(h.ring)) // the event before the ring's first
	if after < oldest || after > h.last {
		l.reset = true
		return l
	}
	l.missed = append(l.missed, h.ring[after-oldest:]...)
	return l
}

func (h *Hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners[l] {
		delete(h.listeners, l)
		close(l.queue)
	}
}
