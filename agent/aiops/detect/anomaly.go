package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// AnomalyParams are the parameters of the detector for plain series. It knows
// nothing of a series, not even its scale: what is odd is what goes further
// than anything has lately, by a margin. Such records get rare by themselves,
// however a series is made, so that a noisy one is not louder than a quiet one.
type AnomalyParams struct {
	Every  int64   // seconds of a value: what comes more often is averaged, and a record lasts days
	Warmup int     // values before the first alert
	Short  int     // values whose median a new one is compared with: a spike
	Level  int     // newest values whose median is compared with that of Long: a shift
	Long   int     // values; a day of five minutes
	Margin float64 // times the record that it has to go
	Spread float64 // times the range of the middle half of Long that it has to go: records within the noise are noise
	Half   float64 // values after which a record counts half
	Rest   int     // values without a record that end an alert
}

// anomalyDefaults were chosen with all ten public series in view, from the
// middle of a plateau: their score there is no proof for series not seen.
func anomalyDefaults() AnomalyParams {
	return AnomalyParams{Every: 5 * minute, Warmup: 288, Short: 24, Level: 6, Long: 288, Margin: 1.4, Spread: 1.5, Half: 1500, Rest: 48}
}

// directions are the ways in which a value can be odd.
var directions = [...]struct{ name, why string }{
	{"spike", "it is further above its recent median than ever lately"},
	{"dip", "it is further below its recent median than ever lately"},
	{"rise", "its level rose more against the day before than ever lately"},
	{"fall", "its level fell more against the day before than ever lately"},
}

// anomalies finds values of plain series that are out of the ordinary.
type anomalies struct {
	p      AnomalyParams
	states map[string]*seriesState // by fingerprint
}

type seriesState struct {
	key, name string
	waiting   []Point // not looked at yet
	short     window
	level     window
	long      window // without what is in level
	records   [len(directions)]float64
	seen      int
	last      int64 // Unix seconds of the newest value
	state     State
	since     int64
	quiet     int // values without a record
}

func newAnomalies(p AnomalyParams) *anomalies {
	return &anomalies{p: p, states: map[string]*seriesState{}}
}

func (d *anomalies) point(p Point) {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		return
	}
	key := fingerprint("", p.Series, "", Anomaly)
	s := d.states[key]
	if s == nil {
		s = &seriesState{
			key: key, name: p.Series,
			short: newWindow(d.p.Short), level: newWindow(d.p.Level), long: newWindow(d.p.Long - d.p.Level),
		}
		d.states[key] = s
	}
	s.waiting = append(s.waiting, p)
}

// forget changes nothing: a plain series belongs to no app.
func (d *anomalies) forget(string) {}

// accept ends what is said now; its records stand, so that only more is odd.
func (d *anomalies) accept(key string, _ int64) {
	if s := d.states[key]; s != nil {
		s.state = ""
	}
}

func (d *anomalies) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.states)) {
		s := d.states[key]
		slices.SortStableFunc(s.waiting, func(a, b Point) int { return int(a.T - b.T) })
		n := 0
		for n < len(s.waiting) {
			from, span := n, s.waiting[n].T/d.p.Every
			if (span+1)*d.p.Every > t {
				break // it is not over
			}
			var sum float64
			for n < len(s.waiting) && s.waiting[n].T/d.p.Every == span {
				sum += s.waiting[n].Value
				n++
			}
			if a, ok := d.take(s, s.waiting[n-1].T, sum/float64(n-from)); ok {
				alerts = append(alerts, a)
			}
		}
		s.waiting = slices.Delete(s.waiting, 0, n)
		if len(s.waiting) == 0 && t-s.last > 7*1440*minute {
			delete(d.states, key)
		}
	}
	return alerts
}

// take looks at one value; t is the time of the newest point in it.
func (d *anomalies) take(s *seriesState, t int64, v float64) (Alert, bool) {
	if old, full := s.level.push(v); full {
		s.long.push(old)
	}
	usual, level, before := s.short.median(), s.level.median(), s.long.median()
	seen := s.seen
	s.short.push(v)
	s.seen, s.last = s.seen+1, t
	if s.long.len() < 12 {
		return Alert{}, false
	}
	far := [len(directions)]float64{v - usual, usual - v, level - before, before - level}
	decay := math.Exp2(-1 / d.p.Half)
	least := d.p.Spread * s.long.spread()
	record, by := -1, 0.0
	for i, distance := range far {
		old := s.records[i]
		if distance > d.p.Margin*old && distance > least {
			if times := min(distance/old, 1000); times > by { // from nothing it is as far as can be
				record, by = i, times
			}
		}
		s.records[i] = max(old*decay, distance)
	}
	s.quiet++
	if record >= 0 {
		s.quiet = 0
	}
	switch {
	case s.state == "" && record >= 0 && seen >= d.p.Warmup:
		s.state, s.since = Firing, t
		base := usual
		if record >= 2 {
			base = before
		}
		a := s.alert(t, Firing)
		a.Confidence = math.Round(100*min(0.95, 0.4+0.2*by/d.p.Margin)) / 100
		a.Evidence = []Fact{
			{directions[record].name, fmt.Sprintf("%.4g", v), directions[record].why},
			{"usual", fmt.Sprintf("%.4g", base), "the median that it is compared with"},
			{"record", fmt.Sprintf("%.1f times", by), "as far as the furthest so far, which fades with time"},
		}
		return a, true
	case s.state == Firing && s.quiet >= d.p.Rest:
		s.state = ""
		return s.alert(t, Resolved), true
	}
	return Alert{}, false
}

func (s *seriesState) alert(t int64, state State) Alert {
	return Alert{
		T: t, Fingerprint: s.key, Detector: Anomaly, State: state, Severity: Warning,
		Pod: s.name, Since: s.since, Confidence: 0.5,
	}
}

// window keeps the newest values of a series, also by size.
type window struct {
	ring   []float32 // in the order of coming
	sorted []float32
	next   int // of the ring, once it is full
}

func newWindow(size int) window {
	return window{ring: make([]float32, 0, size), sorted: make([]float32, 0, size)}
}

func (w *window) len() int { return len(w.ring) }

// push adds a value and returns the one that had to go.
func (w *window) push(value float64) (old float64, full bool) {
	v := float32(value)
	if full = len(w.ring) == cap(w.ring); full {
		gone := w.ring[w.next]
		w.ring[w.next] = v
		w.next = (w.next + 1) % len(w.ring)
		i, _ := slices.BinarySearch(w.sorted, gone)
		w.sorted = slices.Delete(w.sorted, i, i+1)
		old = float64(gone)
	} else {
		w.ring = append(w.ring, v)
	}
	i, _ := slices.BinarySearch(w.sorted, v)
	w.sorted = slices.Insert(w.sorted, i, v)
	return old, full
}

// median of the values; 0 of none.
func (w *window) median() float64 {
	if len(w.sorted) == 0 {
		return 0
	}
	return float64(w.sorted[len(w.sorted)/2])
}

// spread is the range of the middle half of the values.
func (w *window) spread() float64 {
	n := len(w.sorted)
	if n == 0 {
		return 0
	}
	return float64(w.sorted[n*3/4] - w.sorted[n/4])
}
