package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// LatencyParams are the parameters of the latency detector.
type LatencyParams struct {
	Least    int     // requests of a minute: the P95 of fewer is a matter of luck
	Baseline int     // such minutes to compare with, at least
	Z        float64 // robust z of the P95
	Share    float64 // above the median, as a share
	More     float64 // above the median, milliseconds: what nobody feels is no news
	Running  int     // minutes in a row
	Clean    int     // minutes in a row that end it
	Silent   int64   // seconds without enough requests that end it too
}

func latencyDefaults() LatencyParams {
	return LatencyParams{Least: 30, Baseline: 60, Z: 5, Share: 0.5, More: 100, Running: 2, Clean: 5, Silent: 30 * minute}
}

// latencies finds routes that answer much slower than they did.
type latencies struct {
	p LatencyParams
	routes[latencyState]
	buffer []float64
}

type latencyState struct {
	minutes        []slowness        // of the last day
	hours          map[int64]float32 // median P95 by hour (Unix seconds / 3600), 8 days of them
	state          State
	since          int64
	slow, clean    int
	p95, base, bar float64
	judged         int64   // Unix seconds of the last minute with enough requests
	accepted       float64 // milliseconds; up to that is normal
}

// slowness is the P95 of a minute with enough requests.
type slowness struct {
	minute int32   // Unix seconds / 60
	p95    float32 // milliseconds
}

const (
	dayOfMinutes = 1440
	weekOfHours  = 7 * 24
)

func newLatencies(p LatencyParams) *latencies {
	return &latencies{p: p, routes: newRoutes[latencyState](Latency)}
}

// accept takes half as much again as the P95 is now for normal.
func (d *latencies) accept(key string, _ int64) {
	if r := d.all[key]; r != nil {
		r.of.accepted, r.of.state, r.of.slow = 1.5*r.of.p95, "", 0
	}
}

func (d *latencies) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.all)) {
		r := d.all[key]
		s := &r.of
		before := s.state
		r.due(t, func(q Requests) {
			if q.Count >= d.p.Least {
				d.judge(s, q)
				s.keep(q)
			}
		})
		if s.state != "" && t-s.judged > d.p.Silent {
			s.state, s.slow = "", 0
		}
		if s.state != before {
			alerts = append(alerts, d.alert(r, t))
		}
		if t-r.last > 8*1440*minute && len(r.waiting) == 0 {
			delete(d.all, key)
		}
	}
	return alerts
}

// keep adds a minute that was looked at.
func (s *latencyState) keep(q Requests) {
	if n := len(s.minutes); n > 0 {
		if hour := int64(s.minutes[n-1].minute) / 60; hour != q.T/3600 {
			s.close(hour)
		}
	}
	s.minutes = append(s.minutes, slowness{int32(q.T / minute), float32(q.P95)}) //nolint:gosec // minutes fit until the year 6053
	if over := len(s.minutes) - dayOfMinutes; over >= minute {
		s.minutes = append(s.minutes[:0], s.minutes[over:]...)
	}
}

// close keeps the median of an hour that has ended.
func (s *latencyState) close(hour int64) {
	var values []float64
	for _, m := range slices.Backward(s.minutes) {
		if int64(m.minute)/60 < hour {
			break
		}
		values = append(values, float64(m.p95))
	}
	if s.hours == nil {
		s.hours = map[int64]float32{}
	}
	if len(values) >= 5 {
		s.hours[hour] = float32(median(values))
	}
	maps.DeleteFunc(s.hours, func(h int64, _ float32) bool { return hour-h > weekOfHours+24 })
}

// judge looks at a minute with enough requests.
func (d *latencies) judge(s *latencyState, q Requests) {
	s.judged = q.T
	base, bar, ok := d.bar(s, q.T)
	if !ok {
		return
	}
	if q.P95 <= max(bar, s.accepted) {
		s.slow = 0
		s.clean++
		if s.state == Pending || s.clean >= d.p.Clean {
			s.state = ""
		}
		return
	}
	s.clean = 0
	s.slow++
	s.p95, s.base, s.bar = q.P95, base, bar
	switch {
	case s.state == "":
		s.state, s.since = Pending, q.T
		if d.p.Running <= 1 {
			s.state = Firing
		}
	case s.state == Pending && s.slow >= d.p.Running:
		s.state = Firing
	}
}

// bar returns what the P95 is usually, and what is too much: for the last day,
// and for the same hour of last week where that is known.
func (d *latencies) bar(s *latencyState, t int64) (base, bar float64, ok bool) {
	d.buffer = d.buffer[:0]
	for _, m := range s.minutes {
		if t/minute-int64(m.minute) <= dayOfMinutes {
			d.buffer = append(d.buffer, float64(m.p95))
		}
	}
	if len(d.buffer) < d.p.Baseline {
		return 0, 0, false
	}
	base = median(d.buffer)
	for i, v := range d.buffer {
		d.buffer[i] = math.Abs(v - base)
	}
	spread := 1.4826 * median(d.buffer)
	above := func(base float64) float64 {
		return max(base+d.p.Z*spread, base*(1+d.p.Share), base+d.p.More)
	}
	bar = above(base)
	if week, known := s.hours[t/3600-weekOfHours]; known {
		bar = max(bar, above(float64(week)))
	}
	return base, bar, true
}

func (d *latencies) alert(r *route[latencyState], t int64) Alert {
	s := &r.of
	a := Alert{
		T: t, Fingerprint: r.key, Detector: Latency, State: s.state, Severity: Warning,
		App: r.app, Pod: r.name, Since: s.since, Confidence: 0.85,
		Evidence: []Fact{
			{"P95", fmt.Sprintf("%.0f ms", s.p95), fmt.Sprintf("one of 20 requests takes longer; usually it is %.0f ms", s.base)},
			{"threshold", fmt.Sprintf("%.0f ms", s.bar), fmt.Sprintf("%g robust deviations, %.0f %% and %.0f ms above what is usual", d.p.Z, 100*d.p.Share, d.p.More)},
		},
		RuledOut: []string{fmt.Sprintf("too few requests: minutes with fewer than %d were left out", d.p.Least)},
	}
	if _, known := s.hours[t/3600-weekOfHours]; known {
		a.RuledOut = append(a.RuledOut, "the time of the day: the same hour of last week was faster")
	}
	if s.state == "" {
		a.State = Resolved
	}
	return a
}
