package days

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"hks.dev/hks/agent/aiops/detect"
)

// Rule tells when a leak is first found on a day, in Unix seconds; 0: never.
// An alarm before the leak's onset is a false one.
type Rule func(Day) int64

// Score is how well a rule does.
type Score struct {
	True, False, Missed int // leaks found, alarms without a leak, leaks not found
	Slow, Warned        int // slow leaks that ended in a kill, and those found before
	Left                []float64
	ByKind              map[string]int // alarms
	Late                map[string]int // slow leaks not warned of, by kind
}

// Precision is the share of alarms that were right.
func (s Score) Precision() float64 { return float64(s.True) / max(1, float64(s.True+s.False)) }

// Recall is the share of leaks that were found.
func (s Score) Recall() float64 { return float64(s.True) / max(1, float64(s.True+s.Missed)) }

// WarnedShare is the share of slow leaks found before the kill.
func (s Score) WarnedShare() float64 { return float64(s.Warned) / max(1, float64(s.Slow)) }

// TimeLeft is the median, over the slow leaks warned of, of the share of the
// time from onset to kill that was left.
func (s Score) TimeLeft() float64 {
	if len(s.Left) == 0 {
		return 0
	}
	slices.Sort(s.Left)
	return s.Left[len(s.Left)/2]
}

func (s Score) String() string {
	var kinds []string
	for _, kind := range append(slices.Clone(Leaks), Benign...) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, s.ByKind[kind]))
	}
	return fmt.Sprintf("precision %.3f, recall %.3f, slow leaks warned of %d/%d (%.3f), median time left %.0f %%; alarms: %s; late: %v",
		s.Precision(), s.Recall(), s.Warned, s.Slow, s.WarnedShare(), 100*s.TimeLeft(), strings.Join(kinds, ", "), s.Late)
}

// Try makes some days of each kind from a seed and scores the rules on them,
// in their order.
func Try(seed uint64, each int, rules ...Rule) []Score {
	type one struct {
		day Day
		at  []int64
	}
	var tasks []func() one
	seeds := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // made-up data
	for range each {
		for _, kind := range append(slices.Clone(Leaks), Benign...) {
			s := seeds.Uint64()
			tasks = append(tasks, func() one {
				o := one{day: Make(kind, s)}
				for _, rule := range rules {
					o.at = append(o.at, rule(o.day))
				}
				o.day.Samples = nil
				return o
			})
		}
	}
	done := make([]one, len(tasks))
	var work sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, task := range tasks {
		slots <- struct{}{}
		work.Go(func() { done[i] = task(); <-slots })
	}
	work.Wait()
	scores := make([]Score, len(rules))
	for i := range scores {
		scores[i].ByKind, scores[i].Late = map[string]int{}, map[string]int{}
		for _, o := range done {
			scores[i].add(o.day, o.at[i])
		}
	}
	return scores
}

func (s *Score) add(d Day, at int64) {
	if at != 0 {
		s.ByKind[d.Kind]++
	}
	slow := d.Slow && d.OOM != 0
	if slow {
		s.Slow++
	}
	switch {
	case !d.Leak && at != 0:
		s.False++
	case d.Leak && at != 0 && at < d.Onset:
		s.False++
		s.Missed++
	case d.Leak && at == 0:
		s.Missed++
	case d.Leak:
		s.True++
		if slow && at < d.OOM {
			s.Warned++
			s.Left = append(s.Left, float64(d.OOM-at)/float64(d.OOM-d.Onset))
		}
	}
	if slow && (at == 0 || at >= d.OOM) {
		s.Late[d.Kind]++
	}
}

// Detector is the product's own rule, by one of its detectors or several.
func Detector(p detect.Params, names ...string) Rule {
	return func(d Day) int64 {
		e := detect.New(p)
		events := d.Events
		for i, s := range d.Samples {
			for len(events) > 0 && events[0].T <= s.T {
				e.Event(events[0])
				events = events[1:]
			}
			if i > 0 && s.T/60 != d.Samples[i-1].T/60 {
				for _, a := range e.Advance(s.T) {
					if a.State == detect.Firing && slices.Contains(names, a.Detector) {
						return a.T
					}
				}
			}
			e.Sample(s)
		}
		return 0
	}
}

// Linear is the rule that is written most often: a line through the last
// hour that meets the limit within four, for 15 minutes. Without a limit it
// has nothing to say.
func Linear(d Day) int64 {
	const window, ahead, hold = 3600, 4 * 3600, 15 * 60
	var since int64
	from := 0
	for i, s := range d.Samples {
		if s.T%60 != 0 {
			continue
		}
		for d.Samples[from].T < s.T-window {
			from++
		}
		part := d.Samples[from : i+1]
		var n, sx, sy, sxx, sxy float64
		for _, p := range part {
			x, y := float64(p.T-s.T), float64(p.WorkingSet)
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
		slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
		at := (sy-slope*sx)/n + slope*ahead
		if s.Limit == 0 || n < 20 || !(at > float64(s.Limit)) {
			since = 0
			continue
		}
		if since == 0 {
			since = s.T
		}
		if s.T-since >= hold {
			return s.T
		}
	}
	return 0
}

// Static is an alarm at 90 % of the limit, for five minutes.
func Static(d Day) int64 {
	var since int64
	for _, s := range d.Samples {
		if s.Limit == 0 || float64(s.RSS) < 0.9*float64(s.Limit) {
			since = 0
			continue
		}
		if since == 0 {
			since = s.T
		}
		if s.T-since >= 300 {
			return s.T
		}
	}
	return 0
}
