package detect

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTrend(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	line := func(n int, f func(x float64) float64) run {
		var r run
		for i := range n {
			r.x, r.y = append(r.x, float64(i)), append(r.y, f(float64(i)))
		}
		return r
	}
	for _, tt := range []struct {
		name         string
		runs         []run
		slope        float64
		rises, falls bool
	}{
		{"straight", []run{line(60, func(x float64) float64 { return 5 + 2*x })}, 2, true, false},
		{"straight with noise", []run{line(60, func(x float64) float64 { return 2*x + 5*rng.NormFloat64() })}, 2, true, false},
		{"falling", []run{line(60, func(x float64) float64 { return -3 * x })}, -3, false, true},
		{"flat", []run{line(60, func(float64) float64 { return 7 })}, 0, false, false},
		{"noise", []run{line(60, func(float64) float64 { return rng.NormFloat64() })}, 0, false, false},
		{"one outlier", []run{line(60, func(x float64) float64 {
			if x == 30 {
				return 1e6
			}
			return x
		})}, 1, true, false},
		{"three lives", []run{
			line(20, func(x float64) float64 { return x }),
			line(20, func(x float64) float64 { return x }),
			line(20, func(x float64) float64 { return x }),
		}, 1, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := (&trends{}).of(tt.runs...)
			if math.Abs(got.slope-tt.slope) > 0.15 {
				t.Errorf("slope %.3f, want %.3f", got.slope, tt.slope)
			}
			if rises := got.z >= 4 && got.tau >= 0.7 && got.lower > 0; rises != tt.rises {
				t.Errorf("z %.1f tau %.2f lower %.3f: rises %t, want %t", got.z, got.tau, got.lower, rises, tt.rises)
			}
			if falls := got.z <= -4 && got.upper < 0; falls != tt.falls {
				t.Errorf("z %.1f upper %.3f: falls %t, want %t", got.z, got.upper, falls, tt.falls)
			}
			if got.lower > got.slope || got.upper < got.slope {
				t.Errorf("%.3f is not between %.3f and %.3f", got.slope, got.lower, got.upper)
			}
		})
	}
	if got := (&trends{}).of(line(7, func(x float64) float64 { return x })); got != (trend{}) {
		t.Errorf("seven points say %+v, want nothing", got)
	}
}

func TestTrendTrustsCorrelatedNoiseLess(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var white, red run
	at := 0.0
	for i := range 60 {
		at = 0.9*at + rng.NormFloat64()
		white.x, white.y = append(white.x, float64(i)), append(white.y, 0.1*float64(i)+rng.NormFloat64())
		red.x, red.y = white.x, append(red.y, 0.1*float64(i)+at)
	}
	w, r := (&trends{}).of(white), (&trends{}).of(red)
	if w.z/w.tau <= r.z/r.tau {
		t.Errorf("z for each tau is %.1f with white noise and %.1f with red, want more with white", w.z/w.tau, r.z/r.tau)
	}
}
