package detect

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAnomaly(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value func(m int, noise float64) float64
		want  []int // minutes that fire, each the last of its five; none: silence
	}{
		{"steady", func(_ int, noise float64) float64 { return 50 + noise }, nil},
		{"a day's wave", func(m int, noise float64) float64 { return 50 + 30*math.Sin(float64(m)/1440*2*math.Pi) + noise }, nil},
		{"a spike", func(m int, noise float64) float64 {
			if m == 1500 {
				return 90
			}
			return 50 + noise
		}, []int{1504}},
		{"a dip", func(m int, noise float64) float64 {
			if m == 1500 {
				return 10
			}
			return 50 + noise
		}, []int{1504}},
		{"a spike every hour", func(m int, noise float64) float64 {
			if m%60 < 2 {
				return 90 + noise
			}
			return 50 + noise
		}, nil},
		{"from nothing at all", func(m int, _ float64) float64 {
			if m >= 1500 && m < 1510 {
				return 3
			}
			return 0
		}, []int{1504}},
		{"before it is known", func(m int, noise float64) float64 {
			if m == 200 {
				return 90
			}
			return 50 + noise
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 9))
			s := newStory()
			s.minutes(0, 3000, func(m int, at int64) {
				noise := max(-2.5, min(2.5, rng.NormFloat64())) // bounded, so that chance makes no record of it
				s.e.Point(Point{T: at, Series: "cpu", Value: tt.value(m, noise)})
			})
			var fired []int
			resolved := 0
			for _, a := range s.all {
				if a.State == Firing {
					fired = append(fired, int(a.T-begin)/60)
				} else {
					resolved++
				}
			}
			if !slices.Equal(fired, tt.want) || resolved != len(fired) {
				t.Errorf("it fired at %v and was resolved %d times, want %v: %v", fired, resolved, tt.want, s.said)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	w := newWindow(7)
	var all []float64
	for range 200 {
		v := float64(rng.IntN(10))
		all = append(all, v)
		old, full := w.push(v)
		if n := len(all); full != (n > 7) || full && old != all[n-8] {
			t.Fatalf("push %d returned %g, %t", n, old, full)
		}
		last := slices.Clone(all[max(0, len(all)-7):])
		slices.Sort(last)
		if got := w.median(); got != last[len(last)/2] {
			t.Fatalf("the median of %v is %g, it says %g", last, last[len(last)/2], got)
		}
	}
}
