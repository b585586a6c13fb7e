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
	histories
	states map[string]*errorState
}

type errorState struct {
	state        State
	severity     string
	since        int64
	bad, clean   int
	errors, all  int
	share, usual float64
	accepted     float64 // share; up to that is normal
}

func newErrorRates(p ErrorParams) *errorRates {
	return &errorRates{p: p, histories: newHistories(ErrorRate, 1), states: map[string]*errorState{}}
}

func (d *errorRates) forget(app string) {
	for key, r := range d.routes {
		if r.app == app {
			delete(d.states, key)
		}
	}
	d.histories.forget(app)
}

// accept takes half as much again as the share is now for normal.
func (d *errorRates) accept(key string, _ int64) {
	if s := d.states[key]; s != nil {
		s.accepted, s.state, s.bad = 1.5*s.share, "", 0
	}
}

func (d *errorRates) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.routes)) {
		r := d.routes[key]
		s := d.states[key]
		if s == nil {
			s = &errorState{}
			d.states[key] = s
		}
		for _, q := range r.due(t) {
			r.keep(q, 1)
			r.minutes[len(r.minutes)-1].bad = s.state != ""
		}
		if before, severity := s.state, s.severity; d.judge(s, r, t) && (s.state != before || s.severity == Critical && severity != Critical) {
			alerts = append(alerts, d.alert(r, s, t))
		}
		if t-r.last > 1440*minute && len(r.waiting) == 0 {
			delete(d.routes, key)
			delete(d.states, key)
		}
	}
	return alerts
}

// judge looks at the minutes before t; false where there is nothing to say.
func (d *errorRates) judge(s *errorState, r *history, t int64) bool {
	s.errors, s.all = 0, 0
	dayErrors, dayAll := 0, 0
	for _, m := range slices.Backward(r.minutes) {
		switch age := t - m.t; {
		case age <= d.p.Window:
			s.errors, s.all = s.errors+int(m.errors), s.all+int(m.count)
		case !m.bad && age > 60*minute && age <= 1440*minute: // the trouble itself is not the usual
			dayErrors, dayAll = dayErrors+int(m.errors), dayAll+int(m.count)
		}
	}
	share, usual := 0.0, 0.0
	if s.all > 0 {
		share = float64(s.errors) / float64(s.all)
	}
	if dayAll >= 100 {
		usual = float64(dayErrors) / float64(dayAll)
	}
	if s.errors < d.p.Least || share <= max(d.p.Share, d.p.Usual*usual, s.accepted) {
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

func (d *errorRates) alert(r *history, s *errorState, t int64) Alert {
	a := Alert{
		T: t, Fingerprint: r.key, Detector: ErrorRate, State: s.state, Severity: s.severity,
		App: r.app, Pod: r.route, Since: s.since, Confidence: 0.95,
		Evidence: []Fact{
			{"errors", fmt.Sprintf("%d of %d requests in %s", s.errors, s.all, spanText(d.p.Window)), "answers of 500 and above: the app or its way to it failed"},
			{"share", fmt.Sprintf("%.1f %%", 100*s.share), fmt.Sprintf("usually it is %.1f %%", 100*s.usual)},
		},
		RuledOut: []string{"mistakes of visitors: answers of 400 to 499 do not count"},
	}
	if s.state == "" {
		a.State, a.Severity = Resolved, Warning
	}
	return a
}
