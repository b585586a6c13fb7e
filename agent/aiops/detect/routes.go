package detect

import (
	"maps"
	"slices"
)

// route is one route as a detector sees it; of is what it keeps of it.
type route[T any] struct {
	key, app, name string
	waiting        []Requests // minutes not looked at yet
	last           int64      // Unix seconds of the newest minute
	of             T
}

// routes are the routes of a detector, by fingerprint.
type routes[T any] struct {
	detector string
	all      map[string]*route[T]
}

func newRoutes[T any](detector string) routes[T] {
	return routes[T]{detector: detector, all: map[string]*route[T]{}}
}

func (r *routes[T]) requests(q Requests) {
	key := fingerprint(q.App, q.Route, "", r.detector)
	one := r.all[key]
	if one == nil {
		one = &route[T]{key: key, app: q.App, name: q.Route}
		r.all[key] = one
	}
	one.waiting = append(one.waiting, q)
}

func (r *routes[T]) forget(app string) {
	maps.DeleteFunc(r.all, func(_ string, one *route[T]) bool { return one.app == app })
}

// due calls f for each minute that has ended by t, in order.
func (r *route[T]) due(t int64, f func(Requests)) {
	slices.SortStableFunc(r.waiting, func(a, b Requests) int { return int(a.T - b.T) })
	n := 0
	for ; n < len(r.waiting) && r.waiting[n].T+minute <= t; n++ {
		f(r.waiting[n])
		r.last = max(r.last, r.waiting[n].T)
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
}
