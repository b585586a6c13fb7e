package gateway

import (
	"sync/atomic"
	"time"
)

// How endpoints that cannot be reached are set aside.
const (
	ejectMin   = 250 * time.Millisecond // after the first failure, doubled by each further one
	ejectMax   = 5 * time.Second
	probeAfter = 100 * time.Millisecond // between trials while all endpoints are set aside
	trialTime  = time.Second            // in which one request finds out whether an endpoint is back
)

// service is a Service with its endpoints' state.
type service struct {
	id        string
	endpoints []*endpoint
	turn      atomic.Uint32 // where the next choice begins, so that equals take turns
}

// endpoint is one address of a service. It lives on in later routers for as
// long as the service lists it.
type endpoint struct {
	address  string
	inFlight atomic.Int64
	failures atomic.Int32 // dials failed since the last that didn't
	retryAt  atomic.Int64 // set aside until then (Unix nanoseconds) while there are others
	probeAt  atomic.Int64 // not tried before then even when there are no others
}

func newService(s Service, known *service) *service {
	made := &service{id: s.ID, endpoints: make([]*endpoint, 0, len(s.Endpoints))}
	for _, address := range s.Endpoints {
		made.endpoints = append(made.endpoints, known.endpoint(address))
	}
	if known != nil {
		made.turn.Store(known.turn.Load())
	}
	return made
}

// endpoint returns the endpoint of that address, a new one if it has none.
func (s *service) endpoint(address string) *endpoint {
	if s != nil {
		for _, e := range s.endpoints {
			if e.address == address {
				return e
			}
		}
	}
	return &endpoint{address: address}
}

// choose picks the endpoint with the fewest requests under way, another than
// not if there is one. With none to be had it says how long to wait before
// asking again; 0 means until the table changes.
func (s *service) choose(now time.Time, not *endpoint) (*endpoint, time.Duration) {
	if s == nil || len(s.endpoints) == 0 {
		return nil, 0
	}
	var best *endpoint
	at, count := int(s.turn.Add(1)), len(s.endpoints)
	for i := range count {
		e := s.endpoints[(at+i)%count]
		if e == not || e.retryAt.Load() > now.UnixNano() {
			continue
		}
		if best == nil || e.inFlight.Load() < best.inFlight.Load() {
			best = e
		}
	}
	if best == nil && not != nil && not.retryAt.Load() <= now.UnixNano() {
		best = not
	}
	switch {
	case best == nil:
		return s.probe(now)
	case best.claimTrial(now):
		return best, 0
	default:
		return s.choose(now, not) // another request tries that one now
	}
}

// claimTrial lets one request at a time find out whether an endpoint that was
// set aside is back.
func (e *endpoint) claimTrial(now time.Time) bool {
	if e.failures.Load() == 0 {
		return true
	}
	until := e.retryAt.Load()
	return e.retryAt.CompareAndSwap(until, now.Add(trialTime).UnixNano())
}

// probe picks an endpoint though all are set aside.
func (s *service) probe(now time.Time) (*endpoint, time.Duration) {
	soonest := probeAfter
	for _, e := range s.endpoints {
		at := e.probeAt.Load()
		if wait := time.Duration(at - now.UnixNano()); wait > 0 {
			soonest = min(soonest, wait)
			continue
		}
		if e.probeAt.CompareAndSwap(at, now.Add(probeAfter).UnixNano()) {
			return e, 0
		}
	}
	return nil, max(soonest, time.Millisecond)
}

// failed sets the endpoint aside after a dial that failed.
func (e *endpoint) failed(now time.Time) {
	aside := min(ejectMin<<min(e.failures.Add(1)-1, 8), ejectMax)
	e.probeAt.Store(now.Add(probeAfter).UnixNano())
	e.retryAt.Store(now.Add(aside).UnixNano())
}

// reached notes that the endpoint accepts connections.
func (e *endpoint) reached() {
	if e.failures.Load() != 0 {
		e.failures.Store(0)
		e.retryAt.Store(0)
		e.probeAt.Store(0)
	}
}
