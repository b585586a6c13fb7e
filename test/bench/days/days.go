// Package days makes days of a container's life, with and without a memory
// leak, and tells how well a detector does on them. It knows nothing of how
// leaks are found.
package days

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"hks.dev/hks/agent/aiops/detect"
)

// What a day looks like.
const (
	Interval = 15 // seconds between samples
	Length   = 24 * 3600
	mib      = 1 << 20
)

// Kinds of days. Those of the first list leak.
var (
	Leaks  = []string{"linear", "fast", "steps", "load-coupled", "late", "no-limit", "redeploys"}
	Benign = []string{"flat", "warm-up", "diurnal", "ramp", "gc", "page-cache", "shift", "batch", "lru", "walk"}
)

// Day is one container for 24 hours.
type Day struct {
	Kind    string
	Leak    bool
	Begin   int64 // Unix seconds of the first sample
	Onset   int64 // Unix seconds when the leak begins
	OOM     int64 // Unix seconds of the first kill; 0: none on this day
	Slow    bool  // it takes an hour and a half or more from onset to limit
	Samples []detect.Sample
	Events  []detect.Event
}

// day is one that is being made.
type day struct {
	Day
	r *rand.Rand

	base, limit float64 // MiB
	load        func(t float64) float64
	level       func(d *day, t float64) float64 // MiB above the base at a time since the begin; for leaks without what leaked
	rate        func(d *day, t float64) float64 // MiB leaked a second
	cache       float64                         // MiB of page cache
	releases    []float64                       // seconds since the begin
}

func between(r *rand.Rand, a, b float64) float64 { return a + (b-a)*r.Float64() }

// Make makes a day of the kind; the same seed makes the same day.
func Make(kind string, seed uint64) Day {
	d := &day{r: rand.New(rand.NewPCG(seed, 0x6861707079))} //nolint:gosec // made-up data
	d.Kind, d.Leak, d.Begin = kind, slices.Contains(Leaks, kind), 1_700_006_400+int64(seed%7)*86_400
	d.base = between(d.r, 24, 600)
	d.limit = d.base * between(d.r, 1.8, 5)
	d.cache = d.base * between(d.r, 0.05, 0.4)
	// Load: a day's wave, more or less of it, and its own noise.
	wave, phase := between(d.r, 0, 0.5), between(d.r, 0, 2*math.Pi)
	d.load = func(t float64) float64 { return 1 + wave*math.Sin(2*math.Pi*t/Length+phase) }
	d.level = func(*day, float64) float64 { return 0 }
	d.rate = func(*day, float64) float64 { return 0 }
	shapes[kind](d)
	d.run()
	return d.Day
}

// steadily leaks from an onset on, so that the limit is reached after a time.
func (d *day) steadily(onset, seconds float64) {
	d.Onset = d.Begin + int64(onset)
	d.Slow = seconds >= 90*60
	headroom := d.limit - d.base
	d.rate = func(_ *day, t float64) float64 {
		if t < onset {
			return 0
		}
		return headroom / seconds
	}
}

var shapes = map[string]func(*day){
	"linear": func(d *day) { d.steadily(between(d.r, 0, 2*3600), between(d.r, 4, 36)*3600) },
	"fast":   func(d *day) { d.steadily(between(d.r, 1, 16)*3600, between(d.r, 10, 90)*60) },
	"steps": func(d *day) {
		d.steadily(between(d.r, 0, 2*3600), between(d.r, 5, 24)*3600)
		even, every := d.rate, between(d.r, 5, 40)*60
		d.rate = func(d *day, t float64) float64 { // all of it at the end of each span
			if math.Mod(t, every) < every-Interval {
				return 0
			}
			return even(d, t) * every / Interval
		}
	},
	"load-coupled": func(d *day) {
		d.steadily(between(d.r, 0, 2*3600), between(d.r, 5, 24)*3600)
		even, wave, phase := d.rate, between(d.r, 0.3, 0.7), between(d.r, 0, 2*math.Pi)
		d.load = func(t float64) float64 { return 1 + wave*math.Sin(2*math.Pi*t/Length+phase) }
		d.rate = func(d *day, t float64) float64 { return even(d, t) * d.load(t) }
	},
	"late": func(d *day) { d.steadily(between(d.r, 8, 16)*3600, between(d.r, 2, 8)*3600) },
	"no-limit": func(d *day) {
		d.steadily(between(d.r, 0, 2*3600), between(d.r, 5, 20)*3600)
		d.limit = 0
	},
	"redeploys": func(d *day) {
		d.steadily(0, between(d.r, 6, 20)*3600)
		for t := between(d.r, 1.5, 5) * 3600; t < Length; t += between(d.r, 1.5, 5) * 3600 {
			d.releases = append(d.releases, t)
		}
	},

	"flat": func(*day) {},
	"warm-up": func(d *day) {
		height, tau := between(d.r, 0.1, 0.7)*(d.limit-d.base), between(d.r, 3, 60)*60
		d.level = func(_ *day, t float64) float64 { return height * (1 - math.Exp(-t/tau)) }
	},
	"diurnal": func(d *day) {
		height, wave, phase := between(d.r, 0.1, 0.5)*(d.limit-d.base), between(d.r, 0.3, 0.8), between(d.r, 0, 2*math.Pi)
		d.load = func(t float64) float64 { return 1 + wave*math.Sin(2*math.Pi*t/Length+phase) }
		d.level = func(_ *day, t float64) float64 { return height * (1 + math.Sin(2*math.Pi*t/Length+phase)) / 2 }
	},
	"ramp": func(d *day) {
		from, span := between(d.r, 1, 14)*3600, between(d.r, 1, 6)*3600
		height, more := between(d.r, 0.15, 0.6)*(d.limit-d.base), between(d.r, 0.5, 3)
		done := func(t float64) float64 { return min(max((t-from)/span, 0), 1) }
		d.load = func(t float64) float64 { return 1 + more*done(t) }
		d.level = func(_ *day, t float64) float64 { return height * done(t) }
	},
	"gc": func(d *day) {
		height, every := between(d.r, 0.15, 0.6)*(d.limit-d.base), between(d.r, 2, 90)*60
		d.level = func(_ *day, t float64) float64 { return height * math.Mod(t, every) / every }
	},
	"page-cache": func(d *day) {
		d.cache = -1 // fills all there is
	},
	"shift": func(d *day) {
		at, height, took := between(d.r, 1, 22)*3600, between(d.r, 0.15, 0.6)*(d.limit-d.base), between(d.r, 0, 5)*60
		d.level = func(_ *day, t float64) float64 { return height * min(max((t-at)/(took+1), 0), 1) }
	},
	"batch": func(d *day) {
		height, every, long := between(d.r, 0.2, 0.7)*(d.limit-d.base), between(d.r, 1, 6)*3600, between(d.r, 5, 50)*60
		plain := d.load
		in := func(t float64) float64 { return min(math.Mod(t, every)/long, 1) }
		d.load = func(t float64) float64 {
			if in(t) < 1 {
				return 2 * plain(t)
			}
			return plain(t)
		}
		d.level = func(_ *day, t float64) float64 {
			if in(t) < 1 {
				return height * math.Sqrt(in(t))
			}
			return 0
		}
	},
	"lru": func(d *day) { // each miss fills a slot, and there are fewer misses the fuller it is
		height, tau := between(d.r, 0.2, 0.7)*(d.limit-d.base), between(d.r, 0.5, 4)*3600
		d.level = func(_ *day, t float64) float64 { return height * (1 - math.Exp(-t/tau)) }
	},
	"walk": func(d *day) {
		var at float64
		spread, back := between(d.r, 0.03, 0.12)*(d.limit-d.base), between(d.r, 0.5, 3)*3600
		step := spread * math.Sqrt(2*Interval/back)
		d.level = func(d *day, _ float64) float64 {
			at += -at*Interval/back + step*d.r.NormFloat64()
			return at
		}
	},
}

// run lives the day.
func (d *day) run() {
	type gap struct{ from, to float64 }
	var gaps []gap
	for range d.r.IntN(4) {
		from := between(d.r, 0, Length)
		gaps = append(gaps, gap{from, from + between(d.r, 2, 30)*60})
	}
	noise, cpuNoise := 0.0, 0.0
	rho, sd := between(d.r, 0.5, 0.95), d.base*between(d.r, 0.002, 0.02)
	cores := between(d.r, 0.02, 0.6)
	var leaked, began float64
	restarts, generation := 0, 0
	pod := func() string { return fmt.Sprintf("web-production-%s-%s", name(d.r, 9), name(d.r, 5)) }
	hash := pod()
	event := func(t float64, kind string) {
		d.Events = append(d.Events, detect.Event{T: d.Begin + int64(t), Event: kind, App: "web", Pod: hash, Container: "app"})
	}
	for i := range Length / Interval {
		t := float64(i * Interval)
		if generation < len(d.releases) && t >= d.releases[generation] {
			d.Events = append(d.Events, detect.Event{T: d.Begin + int64(t), Event: detect.EventDeploy, App: "web"})
			generation++
			hash, leaked, began, restarts = pod(), 0, t, 0
		}
		leaked += d.rate(d, t) * Interval
		noise = rho*noise + math.Sqrt(1-rho*rho)*sd*d.r.NormFloat64()
		cpuNoise = 0.8*cpuNoise + 0.6*0.1*d.r.NormFloat64()
		rss := d.base*(0.75+0.25*(1-math.Exp(-(t-began+5)/60))) + d.level(d, t) + leaked + noise
		rss = max(rss, d.base/4)
		if d.limit > 0 && rss >= d.limit {
			if d.Leak && d.OOM == 0 {
				d.OOM = d.Begin + int64(t)
			}
			event(t, detect.EventOOMKilled)
			leaked, began, restarts = 0, t+10, restarts+1
			continue
		}
		lost := d.r.Float64() < 0.01
		for _, g := range gaps {
			lost = lost || t >= g.from && t < g.to
		}
		if lost {
			continue
		}
		cache := d.cache
		if cache < 0 {
			cache = (d.limit - rss) * (1 - math.Exp(-t/7200)) * 0.95
		}
		d.Samples = append(d.Samples, detect.Sample{
			T: d.Begin + int64(t), App: "web", Pod: hash, Container: "app",
			RSS: int64(rss * mib), WorkingSet: int64((rss + cache) * mib), Limit: int64(d.limit * mib),
			CPU: max(0.001, cores*d.load(t)*(1+cpuNoise)), Restarts: restarts,
		})
	}
}

func name(r *rand.Rand, n int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}
