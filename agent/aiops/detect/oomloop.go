package detect

import (
	"fmt"
	"maps"
	"slices"
)

// OOMParams are the parameters of the OOM loop detector.
type OOMParams struct {
	Kills  int     // each after memory that rose: one may be a spike, two of the same kind are a habit
	Within int64   // seconds; older kills count no more
	Tau    float64 // of the rise before a kill: share of pairs that rise, less those that fall
	Rise   float64 // from the first to the highest, as a share of the highest: a limit that is just too low for the start shows none
	Clean  int64   // seconds without a kill that end it, at least
	Gaps   float64 // the same as a multiple of the longest time between two kills
}

func oomDefaults() OOMParams {
	return OOMParams{Kills: 2, Within: 24 * 60 * minute, Tau: 0.6, Rise: 0.2, Clean: 60 * minute, Gaps: 2}
}

// oomLoops finds containers that grow until they are killed, again and again.
type oomLoops struct {
	p      OOMParams
	states map[string]*oomState // by fingerprint
}

type oomState struct {
	key, app, workload, container string
	climbs                        map[string]*climb // of the pods that live
	kills                         []kill            // each after a rise, oldest first
	state                         State
	due                           bool // a kill came since the last look
}

// kill is one OOM kill after memory that rose.
type kill struct {
	t           int64
	pod         string
	first, peak float64 // bytes
	took        int64   // seconds from the first look to the kill
	limit       float64
}

// climb is the memory of a process from its start, in few points: where there
// are too many, every other one goes.
type climb struct {
	x, y     []float64
	every    int64 // seconds between points
	restarts int
	limit    float64
	last     int64
	before   *climb // of the process before, whose kill may be told of after the first look at this one
}

const climbPoints = 64

func newOOMLoops(p OOMParams) *oomLoops { return &oomLoops{p: p, states: map[string]*oomState{}} }

func (d *oomLoops) of(app, pod, container string) *oomState {
	workload := Workload(app, pod)
	key := fingerprint(app, workload, container, OOMLoop)
	s := d.states[key]
	if s == nil {
		s = &oomState{key: key, app: app, workload: workload, container: container, climbs: map[string]*climb{}}
		d.states[key] = s
	}
	return s
}

func (d *oomLoops) sample(s Sample) {
	if s.RSS <= 0 {
		return
	}
	state := d.of(s.App, s.Pod, s.Container)
	c := state.climbs[s.Pod]
	if c == nil || s.Restarts > c.restarts {
		if c != nil {
			c.before = nil
		}
		c = &climb{before: c}
		state.climbs[s.Pod] = c
	}
	c.restarts, c.limit, c.last = s.Restarts, float64(s.Limit), s.T
	if n := len(c.x); n > 0 && s.T-int64(c.x[n-1]) < c.every {
		return
	}
	c.x, c.y = append(c.x, float64(s.T)), append(c.y, float64(s.RSS))
	if len(c.x) == climbPoints {
		for i := range climbPoints / 2 {
			c.x[i], c.y[i] = c.x[2*i], c.y[2*i]
		}
		c.x, c.y = c.x[:climbPoints/2], c.y[:climbPoints/2]
		c.every = int64(c.x[1] - c.x[0])
	}
}

func (d *oomLoops) event(e Event) {
	if e.Event != EventOOMKilled && e.Event != EventRestart {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(d.states)) {
		s := d.states[key]
		if s.app != e.App || e.Container != "" && s.container != e.Container {
			continue
		}
		for pod, c := range s.climbs {
			if e.Pod != "" && e.Pod != pod {
				continue
			}
			ended := c
			if c.before != nil && float64(e.T) < c.x[0]+2*minute { // told of after the next one began
				ended, c.before = c.before, nil
			} else {
				delete(s.climbs, pod)
			}
			if k, rose := d.rose(ended, e.T); e.Event == EventOOMKilled && rose {
				k.pod = pod
				s.kills, s.due = append(s.kills, k), true
			}
		}
	}
}

// rose tells whether memory rose until a kill: over all the life, or its last
// half or quarter.
func (d *oomLoops) rose(c *climb, t int64) (kill, bool) {
	if t-c.last > 10*minute {
		return kill{}, false // not known how it ended
	}
	for _, part := range []int{1, 2, 4} {
		from := len(c.x) - len(c.x)/part
		if part == 1 {
			from = 0
		}
		r := run{c.x[from:], c.y[from:]}
		n := len(r.x)
		if n < 4 {
			return kill{}, false
		}
		peak := slices.Max(r.y)
		if tauOf(r) >= d.p.Tau && peak-r.y[0] >= d.p.Rise*peak {
			return kill{t: t, first: r.y[0], peak: peak, took: t - int64(r.x[0]), limit: c.limit}, true
		}
	}
	return kill{}, false
}

// tauOf is the share of a run's pairs that rise, less those that fall.
func tauOf(r run) float64 {
	var s, pairs float64
	for i := range r.y {
		for j := i + 1; j < len(r.y); j++ {
			s += sign(r.y[j] - r.y[i])
			pairs++
		}
	}
	return s / max(pairs, 1)
}

func (d *oomLoops) forget(app string) {
	maps.DeleteFunc(d.states, func(_ string, s *oomState) bool { return s.app == app })
}

// accept changes nothing: being killed is never normal.
func (d *oomLoops) accept(string, int64) {}

func (d *oomLoops) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.states)) {
		s := d.states[key]
		maps.DeleteFunc(s.climbs, func(_ string, c *climb) bool { return t-c.last > 60*minute })
		s.kills = slices.DeleteFunc(s.kills, func(k kill) bool { return t-k.t > d.p.Within })
		if len(s.kills) > 100 {
			s.kills = slices.Delete(s.kills, 0, len(s.kills)-100)
		}
		switch {
		case s.state == "" && s.due && len(s.kills) >= d.p.Kills:
			s.state = Firing
			alerts = append(alerts, s.alert(t))
		case s.state == Firing && d.over(s, t):
			s.state = Resolved
			alerts = append(alerts, s.alert(t))
			s.state, s.kills = "", nil
		case s.state == "" && len(s.climbs) == 0 && len(s.kills) == 0:
			delete(d.states, key)
		}
		s.due = false
	}
	return alerts
}

func (d *oomLoops) over(s *oomState, t int64) bool {
	if len(s.kills) == 0 {
		return true
	}
	var longest int64
	for i := 1; i < len(s.kills); i++ {
		longest = max(longest, s.kills[i].t-s.kills[i-1].t)
	}
	return t-s.kills[len(s.kills)-1].t >= max(d.p.Clean, int64(d.p.Gaps*float64(longest)))
}

func (s *oomState) alert(t int64) Alert {
	a := Alert{
		T: t, Fingerprint: s.key, Detector: OOMLoop, State: s.state, Severity: Critical,
		App: s.app, Container: s.container, Since: t, Confidence: 0.9,
	}
	if len(s.kills) == 0 {
		return a
	}
	first, last := s.kills[0], s.kills[len(s.kills)-1]
	a.Pod, a.Since = last.pod, first.t-first.took
	a.Confidence = min(0.99, 0.9+0.03*float64(len(s.kills)-2))
	a.Evidence = []Fact{
		{"kills", fmt.Sprintf("%d in %s", len(s.kills), spanText(last.t-first.t)), "the kernel killed it for its memory each time, after memory that rose"},
		{"rise before the last kill", fmt.Sprintf("%s to %s in %s", sizeText(last.first), sizeText(last.peak), spanText(last.took)), "it does not stop by itself; a restart only begins it anew"},
	}
	if last.limit > 0 {
		a.Evidence = append(a.Evidence, Fact{"limit", sizeText(last.limit), fmt.Sprintf("a higher one buys time: %s of rise fit in it now", spanText(last.took))})
	}
	a.RuledOut = []string{"a single spike: memory rose before every kill", "a limit too low to start with: it ran below the limit first"}
	return a
}
