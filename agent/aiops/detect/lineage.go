package detect

import "math"

// Bounds of what is kept of memory.
const (
	keptMinutes = 24 * 60 // of a life; the longest window, and as much before it to compare with
	keptLives   = 64      // of a lineage that have ended
)

// lineage is the history of one container of a workload, over all its pods:
// what a leak leaves of its track when pods are replaced is only there.
type lineage struct {
	app, workload, container string
	lives                    []*life // by start
	changed                  int64   // Unix seconds of the newest release or change of settings
}

// replaced tells whether a sample is of another process than the life's, under
// the same pod's name: memory fell by a quarter within half an hour after a
// release.
func (l *lineage) replaced(v *life, s Sample) bool {
	if s.T <= l.changed || s.T > l.changed+30*minute || v.start >= l.changed {
		return false
	}
	return float64(s.RSS) < 0.75*v.floor(l.changed-10*minute, l.changed)
}

// life is the memory of one container from its start to its end, a value a
// minute. A restart begins a new life.
type life struct {
	pod      string
	restarts int
	start    int64     // Unix seconds
	first    int64     // minute (Unix seconds / 60) of rss[0]
	rss      []float32 // the least of each minute, bytes; 0: none
	cpu      []float32 // the mean of each minute, cores
	cpuCount int       // samples in the last minute's mean
	base     float64   // bytes, where it stood after its warm-up; 0: not known yet
	last     int64     // Unix seconds of the newest sample
	limit    float64   // bytes, 0: none
	set      float64   // the newest working set, bytes
	setBase  float64   // what it was at the first sample, bytes
	ended    bool
}

// living returns the life of a pod that has not ended.
func (l *lineage) living(pod string) *life {
	for i := len(l.lives) - 1; i >= 0; i-- {
		if v := l.lives[i]; v.pod == pod && !v.ended {
			return v
		}
	}
	return nil
}

// begin starts a life and drops those that ended too long ago.
func (l *lineage) begin(s Sample) *life {
	l.drop(s.T)
	v := &life{pod: s.Pod, restarts: s.Restarts, start: s.T, first: s.T / minute, setBase: float64(s.WorkingSet)}
	l.lives = append(l.lives, v)
	return v
}

// drop forgets lives that ended before what is kept.
func (l *lineage) drop(t int64) {
	ended := 0
	for _, v := range l.lives {
		if v.ended {
			ended++
		}
	}
	kept := l.lives[:0]
	for _, v := range l.lives {
		if t-v.last > keptMinutes*minute || v.ended && ended > keptLives {
			ended--
			continue
		}
		kept = append(kept, v)
	}
	clear(l.lives[len(kept):])
	l.lives = kept
}

// add takes one sample.
func (v *life) add(s Sample) {
	i := s.T/minute - v.first
	switch n := int64(len(v.rss)); {
	case i < 0:
		return
	case i >= n+keptMinutes: // after so long a gap nothing before it counts
		v.first, v.rss, v.cpu = s.T/minute, v.rss[:0], v.cpu[:0]
		i = 0
	case i >= n+1:
		gap := make([]float32, i-n)
		v.rss, v.cpu = append(v.rss, gap...), append(v.cpu, gap...)
	}
	if i == int64(len(v.rss)) {
		v.rss, v.cpu, v.cpuCount = append(v.rss, 0), append(v.cpu, 0), 0
	}
	if r := float32(s.RSS); r > 0 && (v.rss[i] == 0 || r < v.rss[i]) {
		v.rss[i] = r
	}
	if i == int64(len(v.rss))-1 {
		v.cpuCount++
		v.cpu[i] += (float32(s.CPU) - v.cpu[i]) / float32(v.cpuCount)
	}
	if s.T >= v.last {
		v.last, v.limit, v.set = s.T, float64(s.Limit), float64(s.WorkingSet)
	}
	if over := len(v.rss) - keptMinutes; over >= minute {
		v.rss, v.cpu = append(v.rss[:0], v.rss[over:]...), append(v.cpu[:0], v.cpu[over:]...)
		v.first += int64(over)
	}
}

// between returns the indexes of the minutes from a to before b, Unix seconds.
func (v *life) between(a, b int64) (from, to int) {
	from = int(min(max((a+minute-1)/minute-v.first, 0), int64(len(v.rss))))
	to = int(min(max(b/minute-v.first, int64(from)), int64(len(v.rss))))
	return from, to
}

// floor returns the least of the minutes from a to before b; 0 of none.
func (v *life) floor(a, b int64) float64 {
	from, to := v.between(a, b)
	least := float32(math.MaxFloat32)
	for _, r := range v.rss[from:to] {
		if r > 0 && r < least {
			least = r
		}
	}
	if least == math.MaxFloat32 {
		return 0
	}
	return float64(least)
}

// ceiling returns the greatest of the minutes from a to before b; 0 of none.
func (v *life) ceiling(a, b int64) float64 {
	from, to := v.between(a, b)
	var most float32
	for _, r := range v.rss[from:to] {
		most = max(most, r)
	}
	return float64(most)
}

// envelope appends to r the least value of each of n buckets between a and b;
// x is in seconds since a. Buckets without a value are left out.
func (v *life) envelope(r run, a, b int64, n int) run {
	r.x, r.y = r.x[:0], r.y[:0]
	step := (b - a) / int64(n)
	for i := range int64(n) {
		if low := v.floor(a+i*step, a+(i+1)*step); low > 0 {
			r.x, r.y = append(r.x, float64(i*step+step/2)), append(r.y, low)
		}
	}
	return r
}

// load returns the median CPU of the minutes from a to before b, in cores.
func (v *life) load(a, b int64, buffer []float64) float64 {
	from, to := v.between(a, b)
	buffer = buffer[:0]
	for i := from; i < to; i++ {
		if v.rss[i] > 0 {
			buffer = append(buffer, float64(v.cpu[i]))
		}
	}
	if len(buffer) == 0 {
		return 0
	}
	return median(buffer)
}
