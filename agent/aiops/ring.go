package aiops

import (
	"time"

	"hks.dev/hks/agent"
)

// ring keeps the newest points of one app, as many as two hours have.
type ring struct {
	points []agent.Point
	next   int // where the next point goes, once the ring is full
}

func (r *ring) add(p agent.Point) {
	if len(r.points) < points {
		r.points = append(r.points, p)
		return
	}
	r.points[r.next] = p
	r.next = (r.next + 1) % points
}

// newest returns the time of the last point; a ring is never empty.
func (r *ring) newest() time.Time {
	return r.points[(r.next+len(r.points)-1)%len(r.points)].Time
}

// after returns the points later than t, oldest first.
func (r *ring) after(t time.Time) []agent.Point {
	recent := make([]agent.Point, 0, len(r.points))
	for i := range r.points {
		if p := r.points[(r.next+i)%len(r.points)]; p.Time.After(t) {
			recent = append(recent, p)
		}
	}
	return recent
}
