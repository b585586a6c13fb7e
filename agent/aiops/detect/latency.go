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
	histories
	states map[string]*latencyState
	buffer []float64
}

type latencyState struct {
	state          State
	since          int64
	slow, clean    int
	p95, base, bar float64
	judged         int64   // Unix seconds of the last minute with enough requests
	accepted       float64 // milliseconds; up to that is normal
}

func newLatencies(p LatencyParams) *latencies {
	return &latencies{p: p, histories: newHistories(Latency, p.Least), states: map[string]*latencyState{}}
}

func (d *latencies) forget(app string) {
	for key, r := range d.routes {
		if r.app == app {
			delete(d.states, key)
		}
	}
	d.histories.forget(app)
}

// accept takes half as much again as the P95 is now for normal.
func (d *latencies) accept(key string, _ int64) {
	if s := d.states[key]; s != nil {
		s.accepted, s.state, s.slow = 1.5*s.p95, "", 0
	}
}

func (d *latencies) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.routes)) {
		r := d.routes[key]
		s := d.states[key]
		if s == nil {
			s = &latencyState{}
			d.states[key] = s
		}
		before := s.state
		for _, q := range r.due(t) {
			d.judge(s, r, q)
			r.keep(q, d.p.Least)
		}
		if s.state != "" && t-s.judged > d.p.Silent {
			s.state, s.slow = "", 0
		}
		if s.state != before {
			alerts = append(alerts, d.alert(r, s, t))
		}
		if t-r.last > 8*1440*minute && len(r.waiting) == 0 {
			delete(d.routes, key)
			delete(d.states, key)
		}
	}
	return alerts
}

func (d *latencies) judge(s *latencyState, r *history, q Requests) {
	if q.Count < d.p.Least {
		return
	}
	s.judged = q.T
	base, bar, ok := d.bar(r, q.T)
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
func (d *latencies) bar(r *history, t int64) (base, bar float64, ok bool) {
	d.buffer = d.buffer[:0]
	for _, m := range r.minutes {
		if m.p95 > 0 && t-m.t <= 1440*minute {
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
	if week, known := r.hours[t/3600-weekOfHours]; known {
		bar = max(bar, above(float64(week)))
	}
	return base, bar, true
}

func (d *latencies) alert(r *history, s *latencyState, t int64) Alert {
	a := Alert{
		T: t, Fingerprint: r.key, Detector: Latency, State: s.state, Severity: Warning,
		App: r.app, Pod: r.route, Since: s.since, Confidence: 0.85,
		Evidence: []Fact{
			{"P95", fmt.Sprintf("%.0f ms", s.p95), fmt.Sprintf("one of 20 requests takes longer; usually it is %.0f ms", s.base)},
			{"threshold", fmt.Sprintf("%.0f ms", s.bar), fmt.Sprintf("%g robust deviations, %.0f %% and %.0f ms above what is usual", d.p.Z, 100*d.p.Share, d.p.More)},
		},
		RuledOut: []string{fmt.Sprintf("too few requests: minutes with fewer than %d were left out", d.p.Least)},
	}
	if _, known := r.hours[t/3600-weekOfHours]; known {
		a.RuledOut = append(a.RuledOut, "the time of the day: the same hour of last week was faster")
	}
	if s.state == "" {
		a.State = Resolved
	}
	return a
}
