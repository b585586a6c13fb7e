package detect

import (
	"math"
	"slices"
)

// run is a stretch of points that belong together, oldest first. Points of
// different runs are never compared.
type run struct {
	x, y []float64
}

// trend is what the Mann-Kendall test and the Theil-Sen estimator say of some
// runs, taken together.
type trend struct {
	n     int     // points
	z     float64 // of Mann-Kendall, its variance inflated by the lag-1 autocorrelation
	tau   float64 // share of pairs that rise, less those that fall
	slope float64 // median of the slopes of all pairs
	lower float64 // of slope, 95 % sure
	upper float64
}

// mostCorrelation bounds the lag-1 autocorrelation that is believed: a curved
// leak leaves residuals that look correlated, and must not hide behind them.
const mostCorrelation = 0.75

// trends computes trends; it keeps its buffer between calls.
type trends struct {
	slopes []float64
}

// of returns the trend of the runs; its zero value for fewer than 8 points.
func (c *trends) of(runs ...run) trend {
	var t trend
	var s, variance float64
	c.slopes = c.slopes[:0]
	for _, r := range runs {
		n := len(r.x)
		t.n += n
		for i := range n {
			for j := i + 1; j < n; j++ {
				d := r.y[j] - r.y[i]
				switch {
				case d > 0:
					s++
				case d < 0:
					s--
				}
				c.slopes = append(c.slopes, d/(r.x[j]-r.x[i]))
			}
		}
		f := float64(n)
		variance += f * (f - 1) * (2*f + 5) / 18
	}
	pairs := len(c.slopes)
	if t.n < 8 || pairs == 0 {
		return trend{}
	}
	t.tau = s / float64(pairs)
	slices.Sort(c.slopes)
	t.slope = quantile(c.slopes, 0.5)
	if r := min(autocorrelation(runs, t.slope), mostCorrelation); r > 0 {
		variance *= (1 + r) / (1 - r)
	}
	sd := math.Sqrt(variance)
	t.z = (s - sign(s)) / sd
	reach := 1.96 * sd
	t.lower = c.slopes[max(0, int((float64(pairs)-reach)/2))]
	t.upper = c.slopes[min(pairs-1, int((float64(pairs)+reach)/2))]
	return t
}

// autocorrelation returns the lag-1 autocorrelation of what is left of the
// runs without the slope.
func autocorrelation(runs []run, slope float64) float64 {
	var over, under float64
	for _, r := range runs {
		n := len(r.x)
		if n < 3 {
			continue
		}
		var mean float64
		for i := range n {
			mean += (r.y[i] - slope*r.x[i]) / float64(n)
		}
		var last float64
		for i := range n {
			rest := r.y[i] - slope*r.x[i] - mean
			under += rest * rest
			if i > 0 {
				over += rest * last
			}
			last = rest
		}
	}
	if under == 0 {
		return 0
	}
	return over / under
}

// quantile of sorted values; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// median of values, which it sorts; NaN of none.
func median(values []float64) float64 {
	slices.Sort(values)
	return quantile(values, 0.5)
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
