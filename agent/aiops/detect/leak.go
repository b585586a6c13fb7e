package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// LeakParams are the parameters of the memory leak detector. Memory is what
// the container has for itself (RSS): the page cache goes when it must, and
// made most of the false alarms where working sets were looked at.
type LeakParams struct {
	Every     int64   // seconds between looks
	Quick     []int64 // windows in seconds that are looked at every minute: the fastest leaks leave no more time
	Warmup    int64   // seconds after a start that do not count: what starts grows
	Windows   []int64 // seconds; a leak of minutes and one of a day both fit one
	Buckets   int     // of a window; the least value of each makes the lower envelope, without the saw of a garbage collector
	Running   int     // looks in a row that have to agree
	Z         float64 // of Mann-Kendall: how sure it is that it rises at all
	Tau       float64 // share of pairs that rise, less those that fall: how steadily
	Straight  float64 // slope of the last third against all of it: less is a curve that flattens, a cache that is full soon
	Bend      float64 // slope of the last third against the first, of all the life, for the same load: less is such a curve too
	Step      float64 // share of the growth in one step: more is a shift, which ends by itself
	Growth    float64 // since the start, as a share of the headroom there was
	NoLimit   float64 // the same without a limit, as a share of where it began
	LeastMiB  float64 // of growth: below that nothing is worth a message
	High      float64 // quantile of the history before the window that it has to be above
	Above     float64 // share of the growth that it has to be above all of that history at short windows, which see one tooth of a saw only
	Load      float64 // rise of the CPU, as a share, that explains growth for now
	LoadSpan  int64   // seconds that the CPU is looked back at least: in an hour the wave of a day does not show
	Part      float64 // the same as a share of the memory's own rise: memory that trebles is not explained by a fifth more load
	Whatever  int64   // seconds to the limit below which load explains nothing any more
	Soon      int64   // seconds to the limit that are critical
	ShortSpan int64   // windows up to that many seconds are short
	Short     float64 // time to the limit at most that many short windows: who looks back an hour can't see two days ahead
	Long      float64 // the same for long windows
	Furthest  int64   // seconds to the limit, more is no news
	Clean     int64   // seconds after the warm-up of a new pod without growth that end an alert
	Beyond    float64 // growth after an accepted level, as a share of what was accepted, that fires again
}

// leakDefaults are a known recipe, with what was added for quick windows, bends
// and load chosen on generated days; the benchmarks hold them on days of other
// seeds, made by the same generator.
func leakDefaults() LeakParams {
	return LeakParams{
		Every: 5 * minute, Quick: []int64{15 * minute, 30 * minute}, Warmup: 10 * minute,
		Windows: []int64{60 * minute, 180 * minute, 360 * minute, 720 * minute}, Buckets: 60, Running: 3,
		Z: 4, Tau: 0.7, Straight: 0.6, Bend: 0.6, Step: 0.5,
		Growth: 0.25, NoLimit: 0.5, LeastMiB: 16, High: 0.95, Above: 0.05,
		Load: 0.15, LoadSpan: 360 * minute, Part: 0.1, Whatever: 60 * minute, Soon: 30 * minute,
		ShortSpan: 60 * minute, Short: 3, Long: 14, Furthest: 7 * 24 * 60 * minute,
		Clean: 30 * minute, Beyond: 0.5,
	}
}

const mib = 1 << 20

// leaks finds memory that grows and does not come back.
type leaks struct {
	p        LeakParams
	lineages map[string]*leakState // by fingerprint
	newest   int64                 // Unix seconds of the newest sample of all
	calc     trends
	buffer   []float64
	scratch  []run
}

type leakState struct {
	lineage
	key      string
	state    State
	agreed   [2]int // looks in a row that found it: at quick windows, at the others
	found    leak
	severity string

	accepted int64   // Unix seconds of an acceptance that has no level yet
	level    float64 // bytes; at or below it is accepted
}

// leak is what one look found.
type leak struct {
	life   *life
	window int64 // seconds
	pods   int   // lives that were taken together; 1: one pod
	trend
	from, now float64 // bytes, at the start and now
	growth    float64 // bytes
	begun     int64   // Unix seconds
	limit     float64
	left      int64   // seconds to the limit; 0: no limit
	load      float64 // change of the CPU as a share
}

func newLeaks(p LeakParams) *leaks {
	return &leaks{p: p, lineages: map[string]*leakState{}}
}

func (d *leaks) sample(s Sample) {
	if s.RSS <= 0 {
		return
	}
	workload := Workload(s.App, s.Pod)
	key := fingerprint(s.App, workload, s.Container, MemoryLeak)
	l := d.lineages[key]
	if l == nil {
		l = &leakState{key: key, lineage: lineage{app: s.App, workload: workload, container: s.Container}}
		d.lineages[key] = l
	}
	v := l.living(s.Pod)
	if v != nil && (s.Restarts > v.restarts || l.replaced(v, s)) {
		v.ended, v = true, nil
	}
	if v == nil {
		v = l.begin(s)
	}
	v.add(s)
	d.newest = max(d.newest, s.T)
}

func (d *leaks) event(e Event) {
	for _, l := range d.lineages {
		if l.app != e.App || e.Container != "" && l.container != e.Container {
			continue
		}
		switch e.Event {
		case EventDeploy, EventRelease, EventConfig:
			l.changed = e.T
		case EventOOMKilled, EventRestart:
			for _, v := range l.lives {
				if !v.ended && (e.Pod == "" || v.pod == e.Pod) && e.T > v.start+minute {
					v.ended = true
				}
			}
		}
	}
}

func (d *leaks) forget(app string) {
	maps.DeleteFunc(d.lineages, func(_ string, l *leakState) bool { return l.app == app })
}

func (d *leaks) accept(key string, t int64) {
	if l := d.lineages[key]; l != nil {
		l.accepted, l.state, l.agreed = t, "", [2]int{}
	}
}

func (d *leaks) evaluate(t int64) []Alert {
	var alerts []Alert
	for _, key := range slices.Sorted(maps.Keys(d.lineages)) {
		l := d.lineages[key]
		l.drop(t)
		if len(l.lives) == 0 && l.state == "" && l.level == 0 {
			delete(d.lineages, key)
			continue
		}
		if a, ok := d.step(l, t); ok {
			alerts = append(alerts, a)
		}
	}
	return alerts
}

// step looks at one lineage and says what has changed.
func (d *leaks) step(l *leakState, t int64) (Alert, bool) {
	for _, v := range l.lives {
		if !v.ended && d.newest-v.last > 10*minute && t-d.newest < 10*minute {
			v.ended = true // others are seen, this one is not
		}
	}
	d.settle(l, t)
	found, ok := d.looks(l, t)
	switch {
	case l.state == Firing && ok:
		found.begun = l.found.begun
		l.found = found
		if severity := d.severity(found); severity == Critical && l.severity != Critical {
			l.severity = Critical
			return d.alert(l, t, Firing), true
		}
	case l.state == Firing:
		if t%d.p.Every == 0 && d.over(l, t) {
			l.state = ""
			return d.alert(l, t, Resolved), true
		}
	case ok:
		l.found, l.severity = found, d.severity(found)
		if max(l.agreed[0], l.agreed[1]) >= d.p.Running {
			l.state = Firing
			return d.alert(l, t, Firing), true
		}
		if l.state == "" {
			l.state = Pending
			return d.alert(l, t, Pending), true
		}
	case l.state == Pending && l.agreed == [2]int{}:
		l.state = ""
		return d.alert(l, t, Resolved), true
	}
	return Alert{}, false
}

// looks at the windows that are due, and counts how often they agreed.
func (d *leaks) looks(l *leakState, t int64) (leak, bool) {
	var found leak
	ok := false
	for i, windows := range [][]int64{d.p.Quick, d.p.Windows} {
		if i == 1 && t%d.p.Every != 0 {
			continue
		}
		f, this := d.look(l, windows, t)
		if this && f.now <= l.level {
			this = false
		}
		if !this {
			l.agreed[i] = 0
			continue
		}
		l.agreed[i]++
		found, ok = f, true
	}
	return found, ok
}

// settle turns an acceptance into the level that it means.
func (d *leaks) settle(l *leakState, t int64) {
	if l.accepted == 0 || t < l.accepted {
		return
	}
	for _, at := range []int64{l.accepted, t} { // now, where the history does not reach back
		for _, v := range l.lives {
			now := v.floor(at-10*minute, at+minute)
			if now == 0 {
				continue
			}
			d.warm(v, t)
			grown := max(now-v.base, 2*d.p.LeastMiB*mib)
			if v.base == 0 {
				grown = 2 * d.p.LeastMiB * mib
			}
			l.level = max(l.level, now+d.p.Beyond*grown)
			l.accepted = 0
		}
		if l.accepted == 0 {
			return
		}
	}
}

// warm notes where a life stood after its warm-up.
func (d *leaks) warm(v *life, t int64) {
	if from := v.start + d.p.Warmup; v.base == 0 && t >= from+5*minute {
		v.base = v.floor(from, from+10*minute)
	}
}

// look returns the leak that is nearest to the limit of those that show.
func (d *leaks) look(l *leakState, windows []int64, t int64) (leak, bool) {
	var worst leak
	ok := false
	worse := func(f leak) {
		if !ok || f.left > 0 && (worst.left == 0 || f.left < worst.left) {
			worst, ok = f, true
		}
	}
	for _, v := range l.lives {
		d.warm(v, t)
		if v.ended || v.base == 0 || t-v.last > 10*minute {
			continue
		}
		for _, w := range windows {
			if f, found := d.single(v, w, t); found {
				worse(f)
			}
		}
	}
	if ok || len(l.lives) < 2 {
		return worst, ok
	}
	for _, w := range windows {
		if w > d.p.ShortSpan {
			if f, found := d.stitched(l, w, t); found {
				worse(f)
			}
		}
	}
	return worst, ok
}

// single looks at one window of one life.
func (d *leaks) single(v *life, w, t int64) (leak, bool) {
	p := d.p
	from := max(t-w, v.start+p.Warmup)
	if t-from < w*8/10 {
		return leak{}, false
	}
	n := min(p.Buckets, int((t-from)/minute))
	f := leak{life: v, window: w, pods: 1, from: v.base, limit: v.limit}
	if f.now = v.floor(t-(t-from)/12, t); f.now == 0 || !d.grown(&f, f.now-v.base) {
		return leak{}, false
	}
	r := v.envelope(d.run(0), from, t, n)
	d.scratch[0] = r
	if len(r.x) < n*7/10 {
		return leak{}, false
	}
	f.trend = d.calc.of(r)
	if !d.steady(f.trend) || !d.straight(r, f.slope) || d.stepped(r) || !d.near(&f) {
		return leak{}, false
	}
	before := d.before(v, from)
	slices.Sort(before)
	if len(before) >= 20 && f.now < quantile(before, p.High) {
		return leak{}, false
	}
	if w <= p.ShortSpan && len(before) >= 20 && f.now < v.ceiling(v.start+p.Warmup, from)+p.Above*(f.now-v.base) {
		return leak{}, false
	}
	if w <= p.ShortSpan && from-v.start-p.Warmup < p.LoadSpan/4 && f.left >= p.Soon {
		return leak{}, false // it may be the first tooth of a saw
	}
	f.begun = max(v.start, t-int64(f.growth/f.slope))
	return f, d.unexplained(&f, v, from, t) && (f.left > 0 && f.left < p.Soon/2 || !d.bent(v, t))
}

// bent tells whether a life's growth slows down, all of it taken together, as
// it is and for the same load: a cache fills ever more slowly.
func (d *leaks) bent(v *life, t int64) bool {
	from := v.start + d.p.Warmup
	r := v.envelope(d.run(0), from, t, min(d.p.Buckets, int((t-from)/minute)))
	d.scratch[0] = r
	n := len(r.x) / 3
	if n < 8 {
		return false
	}
	first, last := d.calc.of(run{r.x[:n], r.y[:n]}), d.calc.of(run{r.x[2*n:], r.y[2*n:]})
	third := (t - from) / 3
	a, b := v.load(from, from+third, d.buffer), v.load(t-third, t, d.buffer)
	if last.slope >= d.p.Bend*first.slope {
		return false
	}
	return a == 0 || b == 0 || last.slope/b < d.p.Bend*first.slope/a
}

// stitched takes lives of a lineage together: each new pod begins anew, and
// the growth is only to be seen over several.
func (d *leaks) stitched(l *leakState, w, t int64) (leak, bool) {
	p := d.p
	step := max(w/int64(p.Buckets), minute)
	var runs []run
	var latest *life
	var growth, share, load float64
	least := math.Inf(1)
	used := 0
	for _, v := range l.lives {
		d.warm(v, t)
		from, to := max(t-w, v.start+p.Warmup), min(t, v.last)
		n := int((to - from) / step)
		if n < 8 || v.base == 0 || to-from < 20*minute {
			continue
		}
		r := v.envelope(d.run(used), to-int64(n)*step, to, n)
		d.scratch[used] = r
		if len(r.x) < 8 || len(r.x) < n*7/10 {
			continue
		}
		used++
		runs = append(runs, r)
		alone := d.calc.of(r)
		if alone.tau < 0.4 || !d.straight(r, alone.slope) {
			return leak{}, false // one pod that does not grow, or stops, speaks for the others
		}
		least = min(least, alone.slope)
		growth += r.y[len(r.y)-1] - r.y[0]
		third := (to - from) / 3
		if before := v.load(from, from+third, d.buffer); before > 0 {
			share, load = share+1, load+v.load(to-third, to, d.buffer)/before-1
		}
		if latest == nil || v.start > latest.start {
			latest = v
		}
	}
	if used < 2 || latest.ended && (t-latest.last > 60*minute || l.state == Firing) {
		return leak{}, false // once it is known, only who lives can tell that it goes on
	}
	f := leak{life: latest, window: w, pods: used, from: latest.base, limit: latest.limit, begun: max(t-w, l.lives[0].start)}
	f.now = latest.floor(latest.last-10*minute, latest.last+minute)
	if f.now == 0 || !d.grown(&f, growth) {
		return leak{}, false
	}
	f.trend = d.calc.of(runs...)
	if least < 0.3*f.slope {
		return leak{}, false
	}
	if share > 0 {
		f.load = load / share
	}
	return f, d.steady(f.trend) && d.near(&f) && d.own(&f)
}

// run returns the i-th scratch run.
func (d *leaks) run(i int) run {
	for len(d.scratch) <= i {
		d.scratch = append(d.scratch, run{})
	}
	return d.scratch[i]
}

// grown: by enough of the headroom to matter.
func (d *leaks) grown(f *leak, growth float64) bool {
	f.growth = growth
	enough := d.p.NoLimit * f.from
	if f.limit > 0 {
		enough = d.p.Growth * (f.limit - f.from)
	}
	return growth >= max(enough, d.p.LeastMiB*mib)
}

// steady: it rises, and hardly ever falls.
func (d *leaks) steady(t trend) bool {
	return t.z >= d.p.Z && t.tau >= d.p.Tau && t.lower > 0
}

// straight: it does not flatten.
func (d *leaks) straight(r run, slope float64) bool {
	from := len(r.x) * 2 / 3
	last := d.calc.of(run{r.x[from:], r.y[from:]})
	return last.n == 0 || last.slope >= d.p.Straight*slope
}

// stepped: most of the growth came at once.
func (d *leaks) stepped(r run) bool {
	growth := r.y[len(r.y)-1] - r.y[0]
	for i := 1; i < len(r.y); i++ {
		if r.y[i]-r.y[i-1] > d.p.Step*growth {
			return true
		}
	}
	return false
}

// before returns values of a life from its warm-up to the begin of a window,
// at most some 200.
func (d *leaks) before(v *life, to int64) []float64 {
	a, b := v.between(v.start+d.p.Warmup, to)
	d.buffer = d.buffer[:0]
	for i := a; i < b; i += 1 + (b-a)/200 {
		if r := v.rss[i]; r > 0 {
			d.buffer = append(d.buffer, float64(r))
		}
	}
	return d.buffer
}

// near: the limit is within what can be foreseen from the window. Sets left.
func (d *leaks) near(f *leak) bool {
	if f.limit == 0 {
		return f.window > d.p.ShortSpan // nothing will stop it, so there is time to be sure
	}
	left := max(f.limit-f.now, 0) / f.slope
	times := d.p.Long
	if f.window <= d.p.ShortSpan {
		times = d.p.Short
	}
	f.left = max(int64(left), 1)
	return left <= min(times*float64(f.window), float64(d.p.Furthest))
}

// unexplained: the load has not grown with it, or that does not matter any more.
func (d *leaks) unexplained(f *leak, v *life, from, t int64) bool {
	third := (t - from) / 3
	now := v.load(t-third, t, d.buffer)
	if before := v.load(from, from+third, d.buffer); before > 0 {
		f.load = now/before - 1
	}
	if far := max(t-d.p.LoadSpan, v.start+d.p.Warmup); far < from {
		if before := v.load(far, far+max(third, 20*minute), d.buffer); before > 0 {
			f.load = max(f.load, now/before-1)
		}
	}
	return d.own(f)
}

// own: what the CPU rose by does not explain the growth, or that does not
// matter any more.
func (d *leaks) own(f *leak) bool {
	return f.load <= max(d.p.Load, d.p.Part*f.growth/f.from) || f.left > 0 && f.left < d.p.Whatever
}

func (d *leaks) severity(f leak) string {
	if f.left > 0 && f.left < d.p.Soon || f.limit > 0 && f.now > 0.9*f.limit {
		return Critical
	}
	return Warning
}

// over tells whether what fired has ended: it grows no more, or new pods are
// there that do not.
func (d *leaks) over(l *leakState, t int64) bool {
	seen := false
	for _, v := range l.lives {
		if v.ended || t-v.last > 10*minute {
			continue
		}
		seen = true
		span := max(60*minute, l.found.window/3)
		if v != l.found.life {
			span = min(span, max(d.p.Clean, t-v.start-d.p.Warmup))
		}
		from := t - span
		if from < v.start+d.p.Warmup {
			return false // too young to tell
		}
		r := v.envelope(d.run(0), from, t, min(30, int(span/minute)))
		d.scratch[0] = r
		now := d.calc.of(r)
		if now.n == 0 || now.upper > 0.5*l.found.slope && now.slope > 0.2*l.found.slope {
			return false
		}
	}
	return seen || t-d.newest < 10*minute && l.gone(t, 60*minute)
}

// gone tells whether no life was seen for some seconds.
func (l *lineage) gone(t, seconds int64) bool {
	for _, v := range l.lives {
		if t-v.last < seconds {
			return false
		}
	}
	return true
}

func (d *leaks) alert(l *leakState, t int64, state State) Alert {
	f := l.found
	a := Alert{
		T: t, Fingerprint: l.key, Detector: MemoryLeak, State: state, Severity: l.severity,
		App: l.app, Pod: f.life.pod, Container: l.container, Since: f.begun, TimeToLimit: f.left,
		Confidence: math.Round(100*min(0.99, 0.5+0.3*(f.tau-d.p.Tau)/(1-d.p.Tau)+0.1*min(2, f.z/d.p.Z-1)+0.05*float64(max(l.agreed[0], l.agreed[1])))) / 100,
	}
	span := spanText(f.window)
	grew := Fact{"growth", fmt.Sprintf("%s in %s, %s an hour", sizeText(f.slope*float64(f.window)), span, sizeText(f.slope*3600)),
		fmt.Sprintf("memory of its own rises steadily: %.0f %% of all pairs of looks went up, z %.1f", 50*(f.tau+1), f.z)}
	a.Evidence = append(a.Evidence, grew)
	if f.limit > 0 {
		a.Evidence = append(a.Evidence,
			Fact{"memory now", fmt.Sprintf("%s of %s", sizeText(f.now), sizeText(f.limit)), fmt.Sprintf("%.0f %% of the limit; it began at %s", 100*f.now/f.limit, sizeText(f.from))},
			Fact{"time to the limit", spanText(f.left), "at this rate the container is then killed for its memory"})
	} else {
		a.Evidence = append(a.Evidence, Fact{"memory now", sizeText(f.now), fmt.Sprintf("it began at %s; there is no limit, so it takes from everyone on the node", sizeText(f.from))})
	}
	if f.pods > 1 {
		a.Evidence = append(a.Evidence, Fact{"pods", fmt.Sprint(f.pods), "each of them grew the same way; new pods only begin it anew"})
	}
	a.Evidence = append(a.Evidence, Fact{"CPU", fmt.Sprintf("%+.0f %%", 100*f.load), "growth that comes with load would go with it"})
	a.RuledOut = []string{
		"garbage collection: the lowest values rise, not only the peaks",
		"page cache: memory of its own was looked at, not the working set",
		"warm-up or a cache that fills: the last third rises as fast as the rest",
	}
	if f.load <= d.p.Load {
		a.RuledOut = append(a.RuledOut, "load: the CPU did not rise with it")
	}
	if f.pods == 1 {
		a.RuledOut = append(a.RuledOut, "a single step: no step made half of the growth")
	}
	return a
}
