package detect

import (
	"maps"
	"math"
	"slices"
)

// history is one route: its minutes of the last day, and the same hours of
// the week before.
type history struct {
	key, app, route string
	waiting         []Requests // not looked at yet
	minutes         []routeMinute
	hours           map[int64]float32 // median P95 by hour (Unix seconds / 3600), 8 days of them
	last            int64             // Unix seconds of the newest minute
}

type routeMinute struct {
	t             int64
	p95           float32 // ms; 0: too few requests to say
	count, errors int32
	bad           bool // while the detector said so
}

const (
	dayOfMinutes = 1440
	weekOfHours  = 7 * 24
)

// histories keeps the minutes of routes for a detector of its name.
type histories struct {
	detector string
	least    int // requests of a minute whose P95 means something
	routes   map[string]*history
}

func newHistories(detector string, least int) histories {
	return histories{detector: detector, least: least, routes: map[string]*history{}}
}

func (h *histories) requests(r Requests) {
	key := fingerprint(r.App, r.Route, "", h.detector)
	route := h.routes[key]
	if route == nil {
		route = &history{key: key, app: r.App, route: r.Route, hours: map[int64]float32{}}
		h.routes[key] = route
	}
	route.waiting = append(route.waiting, r)
}

func (h *histories) forget(app string) {
	maps.DeleteFunc(h.routes, func(_ string, r *history) bool { return r.app == app })
}

// due takes the minutes that have ended by t out of what waits, in order.
func (r *history) due(t int64) []Requests {
	slices.SortStableFunc(r.waiting, func(a, b Requests) int { return int(a.T - b.T) })
	n := 0
	for n < len(r.waiting) && r.waiting[n].T+minute <= t {
		n++
	}
	due := slices.Clone(r.waiting[:n])
	r.waiting = slices.Delete(r.waiting, 0, n)
	return due
}

// keep adds a minute that was looked at.
func (r *history) keep(q Requests, least int) {
	m := routeMinute{t: q.T, count: int32(min(q.Count, math.MaxInt32)), errors: int32(min(q.Errors, math.MaxInt32))} //nolint:gosec // bounded
	if q.Count >= least {
		m.p95 = float32(q.P95)
	}
	if hour := q.T / 3600; r.last/3600 != hour && r.last != 0 {
		r.close(r.last / 3600)
	}
	r.last = max(r.last, q.T)
	r.minutes = append(r.minutes, m)
	if over := len(r.minutes) - dayOfMinutes; over >= minute {
		r.minutes = append(r.minutes[:0], r.minutes[over:]...)
	}
}

// close keeps the median of an hour that has ended.
func (r *history) close(hour int64) {
	var values []float64
	for _, m := range slices.Backward(r.minutes) {
		if m.t/3600 < hour {
			break
		}
		if m.p95 > 0 {
			values = append(values, float64(m.p95))
		}
	}
	if len(values) >= 5 {
		r.hours[hour] = float32(median(values))
	}
	maps.DeleteFunc(r.hours, func(h int64, _ float32) bool { return hour-h > weekOfHours+24 })
}
