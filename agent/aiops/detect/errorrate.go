package detect

import (
	"fmt"
	"maps"
	"slices"
)

// ErrorParams are the parameters of the error rate detector.
type ErrorParams struct {
	Window  int64   // seconds that are summed
	Least   int     // errors in the window: single ones happen
	Share   float64 // of requests
	Usual   float64 // times the share of the last day, where there have always been errors
	Running int     // minutes in a row
	Clean   int     // minutes in a row that end it
	Bad     float64 // share that is critical
}

func errorDefaults() ErrorParams {
	return ErrorParams{Window: 5 * minute, Least: 10, Share: 0.02, Usual: 3, Running: 2, Clean: 5, Bad: 0.25}
}

// errorRates finds routes that answer with errors of the server.
type errorRates struct {
	p ErrorParams
	routes[errorState]
}

type errorState struct {
	minutes      []answers // of the window
	hours        []answers // of the last day, without those in which it was wrong
	state        State
	severity     string
	since        int64
	bad, clean   int
	now          answers // of the window
	share, usual float64
	accepted     float64 // share; up to that is normal
}

// answers are counts of some time.
type answers struct {
	t           int64 // Unix seconds of its begin
	errors, all int
}

func newErrorRates(p ErrorParams) *errorRates {
	return &errorRates{p: p, routes: newRoutes[errorState](ErrorRate)}
}

// accept takes half as much again as the share is now for normal.
func (d *errorRates) accept(key string, _ int64) {
	if r := d.all[key]; r != nil {
		r.of.accepted, r.of.state, r.of.bad = 1.5*r.of.share, "", 0
	}
}

func (d *errorRates) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.all)) {
		r := d.all[key]
		s := &r.of
		r.due(t, func(q Requests) { d.keep(s, q) })
		if before, severity := s.state, s.severity; d.judge(s, t) && (s.state != before || s.severity == Critical && severity != Critical) {
			alerts = append(alerts, d.alert(r, t))
		}
		if t-r.last > 1440*minute && len(r.waiting) == 0 {
			delete(d.all, key)
		}
	}
	return alerts
}

// keep adds a minute.
func (d *errorRates) keep(s *errorState, q Requests) {
	old := func(span int64) func(answers) bool { return func(a answers) bool { return q.T-a.t >= span } }
	s.minutes = append(slices.DeleteFunc(s.minutes, old(d.p.Window)), answers{q.T, q.Errors, q.Count})
	if s.state != "" {
		return // the trouble itself is not the usual
	}
	hour := q.T - q.T%3600
	if n := len(s.hours); n == 0 || s.hours[n-1].t != hour {
		s.hours = append(slices.DeleteFunc(s.hours, old(1440*minute)), answers{t: hour})
	}
	last := &s.hours[len(s.hours)-1]
	last.errors, last.all = last.errors+q.Errors, last.all+q.Count
}

// judge looks at the minutes before t; false where there is nothing to say.
func (d *errorRates) judge(s *errorState, t int64) bool {
	s.now = answers{t: t}
	var day answers
	for _, m := range s.minutes {
		if t-m.t <= d.p.Window {
			s.now.errors, s.now.all = s.now.errors+m.errors, s.now.all+m.all
		}
	}
	for _, h := range s.hours {
		if t-h.t > 60*minute {
			day.errors, day.all = day.errors+h.errors, day.all+h.all
		}
	}
	share, usual := s.now.share(), 0.0
	if day.all >= 100 {
		usual = day.share()
	}
	if s.now.errors < d.p.Least || share <= max(d.p.Share, d.p.Usual*usual, s.accepted) {
		s.bad = 0
		s.clean++
		if s.state == Pending || s.state == Firing && s.clean >= d.p.Clean {
			s.state, s.severity = "", ""
			return true
		}
		return false
	}
	s.clean = 0
	s.bad++
	s.share, s.usual = share, usual
	switch {
	case s.bad >= d.p.Running:
		s.state = Firing
	case s.state == "":
		s.state, s.since = Pending, t-minute
	}
	if s.severity != Critical {
		s.severity = Warning
		if share >= d.p.Bad {
			s.severity = Critical
		}
	}
	return true
}

func (d *errorRates) alert(r *route[errorState], t int64) Alert {
	s := &r.of
	a := Alert{
		T: t, Fingerprint: r.key, Detector: ErrorRate, State: s.state, Severity: s.severity,
		App: r.app, Pod: r.name, Since: s.since, Confidence: 0.95,
		Evidence: []Fact{
			{"errors", fmt.Sprintf("%d of %d requests in %s", s.now.errors, s.now.all, spanText(d.p.Window)), "answers of 500 and above: the app or its way to it failed"},
			{"share", fmt.Sprintf("%.1f %%", 100*s.share), fmt.Sprintf("usually it is %.1f %%", 100*s.usual)},
		},
		RuledOut: []string{"mistakes of visitors: answers of 400 to 499 do not count"},
	}
	if s.state == "" {
		a.State, a.Severity = Resolved, Warning
	}
	return a
}

func (a answers) share() float64 {
	if a.all == 0 {
		return 0
	}
	return float64(a.errors) / float64(a.all)
}
