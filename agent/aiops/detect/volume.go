package detect

import (
	"fmt"
	"maps"
	"slices"
)

// VolumeParams are the parameters of the volume forecast.
type VolumeParams struct {
	Every   int64   // seconds between points and between looks: disks fill slowly
	Full    float64 // share that is free below which it is full: at once, whatever the trend
	Low     float64 // share that is free below which the trend counts
	Window  int64   // seconds of trend at least
	Confirm int64   // seconds of trend that have to agree: a nightly job is no trend. Half of it will do, and less where it is full before as long again
	Tau     float64 // share of pairs that rise, less those that fall: how steadily
	Ahead   int64   // seconds to full that are worth a message: a weekend and a day
	Running int     // looks in a row that have to agree on a trend
	Clear   float64 // share that is free above which it is over
	Soon    int64   // seconds to full that are critical
}

func volumeDefaults() VolumeParams {
	return VolumeParams{
		Every: 10 * minute, Full: 0.03, Low: 0.15, Window: 360 * minute, Confirm: 1440 * minute, Tau: 0.7,
		Ahead: 4 * 1440 * minute, Running: 3, Clear: 0.20, Soon: 240 * minute,
	}
}

// volumes finds filesystems that are full, or will be.
type volumes struct {
	p      VolumeParams
	states map[string]*volumeState // by fingerprint
	calc   trends
}

type volumeState struct {
	key, app, name string
	run            run // x in Unix seconds, y in bytes
	used, capacity float64
	last           int64 // Unix seconds of the newest look
	state          State
	severity       string
	since          int64
	agreed         int
	accepted       float64 // share that is free; at or above it is silent
	trend          trend
	left           int64
}

func newVolumes(p VolumeParams) *volumes { return &volumes{p: p, states: map[string]*volumeState{}} }

func (d *volumes) volume(v Volume) {
	if v.Capacity <= 0 {
		return
	}
	key := fingerprint(v.App, v.Volume, "", VolumeFull)
	s := d.states[key]
	if s == nil {
		s = &volumeState{key: key, app: v.App, name: v.Volume}
		d.states[key] = s
	}
	if v.T < s.last {
		return
	}
	if s.capacity != float64(v.Capacity) { // it was grown
		s.run = run{}
	}
	s.used, s.capacity, s.last = float64(v.Used), float64(v.Capacity), v.T
	n := len(s.run.x)
	if n > 0 && v.T-int64(s.run.x[n-1]) < d.p.Every {
		return
	}
	s.run.x, s.run.y = append(s.run.x, float64(v.T)), append(s.run.y, s.used)
	for len(s.run.x) > 0 && v.T-int64(s.run.x[0]) > d.p.Confirm {
		s.run.x, s.run.y = slices.Delete(s.run.x, 0, 1), slices.Delete(s.run.y, 0, 1)
	}
}

func (d *volumes) forget(app string) {
	maps.DeleteFunc(d.states, func(_ string, s *volumeState) bool { return s.app == app })
}

// accept is silent until half of what is free now is taken too.
func (d *volumes) accept(key string, _ int64) {
	if s := d.states[key]; s != nil {
		s.accepted, s.state, s.agreed = s.free()/2, "", 0
	}
}

func (s *volumeState) free() float64 { return 1 - s.used/s.capacity }

func (d *volumes) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.states)) {
		s := d.states[key]
		if t-s.last > 7*1440*minute {
			delete(d.states, key)
			continue
		}
		if t-s.last > 10*minute { // not mounted now: nothing is known
			continue
		}
		free := s.free()
		full := free < d.p.Full
		if t%d.p.Every == 0 {
			if free < d.p.Low && d.fills(s, t) {
				s.agreed++
			} else {
				s.agreed = 0
			}
		}
		bad := full || s.agreed >= d.p.Running
		if s.accepted > 0 && free >= s.accepted {
			bad = false
		}
		severity := Warning
		if full || s.agreed > 0 && s.left > 0 && s.left < d.p.Soon {
			severity = Critical
		}
		switch {
		case bad && s.state != Firing:
			s.state, s.severity, s.since = Firing, severity, t
			if len(s.run.x) > 0 {
				s.since = max(int64(s.run.x[0]), t-d.p.Window)
			}
			alerts = append(alerts, s.alert(t))
		case bad && severity == Critical && s.severity != Critical:
			s.severity = Critical
			alerts = append(alerts, s.alert(t))
		case s.state == Firing && free > d.p.Clear:
			s.state, s.agreed, s.accepted = Resolved, 0, 0
			alerts = append(alerts, s.alert(t))
			s.state = ""
		case s.state == "" && s.agreed > 0 && s.accepted == 0:
			s.state, s.severity, s.since = Pending, severity, t
			alerts = append(alerts, s.alert(t))
		case s.state == Pending && s.agreed == 0:
			s.state = Resolved
			alerts = append(alerts, s.alert(t))
			s.state = ""
		}
	}
	return alerts
}

// fills tells whether the trend of the window and that of all that is known
// both say that it is full in time.
func (d *volumes) fills(s *volumeState, t int64) bool {
	trend, soonest, latest, ok := d.left(s, t)
	known := float64(t) - firstOf(s)
	if !ok || latest > float64(d.p.Ahead) || known < float64(d.p.Confirm)/2 && latest > known {
		return false
	}
	s.trend, s.left = trend, max(int64(soonest), 1)
	return true
}

// left is how many seconds it takes until it is full: by the trend of the
// window, which is returned too, and by the slower one of that and of all that
// is known. It is not ok unless both rise steadily.
func (d *volumes) left(s *volumeState, t int64) (window trend, byWindow, latest float64, ok bool) {
	if len(s.run.x) == 0 || t-int64(s.run.x[0]) < d.p.Window {
		return trend{}, 0, 0, false
	}
	from, _ := slices.BinarySearch(s.run.x, float64(t-d.p.Window))
	for _, r := range []run{s.run, {s.run.x[from:], s.run.y[from:]}} {
		window = d.calc.of(r)
		if window.n < 12 || window.lower <= 0 || window.tau < d.p.Tau {
			return trend{}, 0, 0, false
		}
		byWindow = (s.capacity - s.used) / window.slope
		latest = max(latest, byWindow)
	}
	return window, byWindow, latest, true
}

func firstOf(s *volumeState) float64 {
	if len(s.run.x) == 0 {
		return float64(s.last)
	}
	return s.run.x[0]
}

// fullIn is the forecast as it is shown, whether it is worth a message or not:
// seconds from the newest look. Half a day has to be known, or as much as is left.
func (d *volumes) fullIn(app, volume string) (seconds int64, ok bool) {
	s := d.states[fingerprint(app, volume, "", VolumeFull)]
	if s == nil {
		return 0, false
	}
	_, _, latest, ok := d.left(s, s.last)
	known := float64(s.last) - firstOf(s)
	if !ok || latest > forecastMost || known < float64(d.p.Confirm)/2 && latest > known {
		return 0, false
	}
	return max(int64(latest), 1), true
}

// forecastMost is how far a day's trend is worth telling of, in seconds.
const forecastMost = 365 * 1440 * minute

func (s *volumeState) alert(t int64) Alert {
	a := Alert{
		T: t, Fingerprint: s.key, Detector: VolumeFull, State: s.state, Severity: s.severity,
		App: s.app, Pod: s.name, Since: s.since, Confidence: 0.99,
		Evidence: []Fact{{"free", fmt.Sprintf("%.1f %% (%s of %s)", 100*s.free(), sizeText(s.capacity-s.used), sizeText(s.capacity)), "with nothing free, writes fail"}},
	}
	if s.agreed > 0 && s.left > 0 {
		a.TimeToLimit = s.left
		a.Confidence = 0.9
		a.Evidence = append(a.Evidence,
			Fact{"growth", sizeText(s.trend.slope*3600) + " an hour", "the trend of the last hours and that of the day agree"},
			Fact{"time to full", spanText(s.left), "at this rate"})
		a.RuledOut = []string{"a single large file: it fills steadily"}
	}
	return a
}
