package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"

	"hks.dev/hks/agent"
)

const (
	wholeGate    = 1 << 20          // more than there can be writers
	gatePatience = 10 * time.Second // of a collection, for writers to end
	pushSilence  = 2 * time.Minute  // after which a push is taken for given up
	retryAfter   = "5"              // seconds, for who pushes during a collection
)

// gate keeps writers and the collection of garbage apart, since a collection
// under writes loses blobs. Writers share it, a collection has it alone;
// while one waits or works, pushes are told to come again and pulls go on.
type gate struct {
	writers *semaphore.Weighted
	now     func() time.Time

	mu     sync.Mutex           // guards pushes
	pushes map[string]time.Time // by repository: its last request
}

func newGate(now func() time.Time) *gate {
	return &gate{writers: semaphore.NewWeighted(wholeGate), now: now, pushes: map[string]time.Time{}}
}

// enter waits until no collection works; leave must follow.
func (g *gate) enter(ctx context.Context) error {
	if err := g.writers.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for the registry's clean-up: %w", err)
	}
	return nil
}

func (g *gate) leave() { g.writers.Release(1) }

// closeFor waits for writers to end and keeps new ones out until open is
// called. A push is many requests: while one is between two of them its blobs
// belong to no image yet, so that nothing may be collected either.
func (g *gate) closeFor(ctx context.Context) (open func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, gatePatience)
	defer cancel()
	if err := g.writers.Acquire(waiting, wholeGate); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for pushes: %w", ctx.Err())
		}
		return nil, errBusy()
	}
	if g.pushing() {
		g.writers.Release(wholeGate)
		return nil, errBusy()
	}
	return func() { g.writers.Release(wholeGate) }, nil
}

func errBusy() error {
	return agent.Errorf(agent.CodeConflict, "try again when it has ended", "an image is being built, loaded or pushed now, or the registry is being cleaned up")
}

// pushing tells whether a push has begun and not ended.
func (g *gate) pushing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for repository, last := range g.pushes {
		if g.now().Sub(last) < pushSilence {
			return true
		}
		delete(g.pushes, repository)
	}
	return false
}

// note keeps that a push goes on, or has ended.
func (g *gate) note(repository string, ended bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ended {
		delete(g.pushes, repository)
	} else {
		g.pushes[repository] = g.now()
	}
}

// part finds repository and kind of a path of the registry's API.
var part = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests)/`)

// guardWrites lets pushes in while no collection works and the disk has room.
func (r *Registry) guardWrites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		found := part.FindStringSubmatch(req.URL.Path)
		// Who asks whether a blob is there means to push what is not: the answer
		// must not be true of a blob that is being collected.
		asks := req.Method == http.MethodHead && found != nil && found[2] == "blobs"
		if !asks && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
			next.ServeHTTP(w, req)
			return
		}
		if !r.gate.writers.TryAcquire(1) {
			w.Header().Set("Retry-After", retryAfter)
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the registry is being cleaned up and takes no images just now; push again in a few seconds")
			return
		}
		defer r.gate.leave()
		if !asks && req.Method != http.MethodDelete {
			if err := r.room(max(req.ContentLength, 0)); err != nil {
				r.refuseForRoom(w, req, err)
				return
			}
			req.Body = &roomyBody{ReadCloser: req.Body, room: r.room}
		}
		answer := &status{ResponseWriter: w}
		next.ServeHTTP(answer, req)
		if found != nil {
			stored := found[2] == "manifests" && answer.code == http.StatusCreated
			r.gate.note(found[1], stored || req.Method == http.MethodDelete)
		}
	})
}

func (r *Registry) refuseForRoom(w http.ResponseWriter, req *http.Request, err error) {
	if agent.CodeOf(err) == agent.CodeNoSpace {
		refuse(w, http.StatusInsufficientStorage, string(agent.CodeNoSpace), err.Error())
		return
	}
	r.cfg.Log.ErrorContext(req.Context(), "a push was refused", "error", err)
	refuse(w, http.StatusInternalServerError, "UNKNOWN", "the disk can't be asked for its free space")
}

// status keeps the answer's status code.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes the code.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// roomyBody ends a body of unknown length before the disk is full.
type roomyBody struct {
	io.ReadCloser
	room func(more int64) error
	left int64 // bytes until the next look at the disk
}

// Read reads while there is room.
func (b *roomyBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if err := b.room(0); err != nil {
			return 0, errors.Join(syscall.ENOSPC, err)
		}
		b.left = portion
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
