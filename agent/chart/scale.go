package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"hks.dev/hks/agent"
)

const (
	mebi       = 1 << 20
	gibi       = 1 << 30
	mostPoints = 2 * (right - left) // more are thinned: nobody sees them
	trendOver  = 12                 // points that a trend needs at the least
	gapFactor  = 4                  // a step so many times the usual one is a gap
)

// usable are the points that can be drawn, in the order of time.
func usable(points []agent.SeriesPoint) []agent.SeriesPoint {
	number := func(v float64) bool { return !math.IsNaN(v) && math.Abs(v) < 1e18 }
	kept := make([]agent.SeriesPoint, 0, len(points))
	for _, p := range points {
		if p.Time.IsZero() || !number(p.Mean) {
			continue
		}
		if !number(p.Min) || p.Min > p.Mean {
			p.Min = p.Mean
		}
		if !number(p.Max) || p.Max < p.Mean {
			p.Max = p.Mean
		}
		kept = append(kept, p)
	}
	slices.SortStableFunc(kept, func(a, b agent.SeriesPoint) int { return a.Time.Compare(b.Time) })
	kept = slices.CompactFunc(kept, func(a, b agent.SeriesPoint) bool { return a.Time.Equal(b.Time) })
	return thin(kept)
}

// thin joins neighbours until there are few enough; highest and lowest stay.
func thin(points []agent.SeriesPoint) []agent.SeriesPoint {
	if len(points) <= mostPoints {
		return points
	}
	each := (len(points) + mostPoints - 1) / mostPoints
	var all []agent.SeriesPoint
	for group := range slices.Chunk(points, each) {
		p, sum := group[len(group)-1], 0.0
		for _, g := range group {
			p.Min, p.Max = min(p.Min, g.Min), max(p.Max, g.Max)
			sum += g.Mean
		}
		p.Mean = sum / float64(len(group))
		all = append(all, p)
	}
	return all
}

// runs are the points without gaps in between.
func runs(points []agent.SeriesPoint) [][]agent.SeriesPoint {
	steps := make([]time.Duration, 0, len(points))
	for i := 1; i < len(points); i++ {
		steps = append(steps, points[i].Time.Sub(points[i-1].Time))
	}
	slices.Sort(steps)
	usual := steps[len(steps)/2]
	var all [][]agent.SeriesPoint
	from := 0
	for i := 1; i < len(points); i++ {
		if points[i].Time.Sub(points[i-1].Time) > gapFactor*usual {
			all = append(all, points[from:i])
			from = i
		}
	}
	return append(all, points[from:])
}

// since are the points after the last mark: a release or a restart begins
// anew. Where those are too few, all are.
func since(points []agent.SeriesPoint, marks []agent.ChartMark) []agent.SeriesPoint {
	for _, m := range marks {
		i := slices.IndexFunc(points, func(p agent.SeriesPoint) bool { return !p.Time.Before(m.At) })
		if i > 0 && len(points)-i >= trendOver {
			points = points[i:]
		}
	}
	return points
}

// trendOf fits a line by least squares. Its first point is returned with the
// slope in units a second; ok is false for too few points.
func trendOf(points []agent.SeriesPoint) (from agent.SeriesPoint, slope float64, ok bool) {
	if len(points) < trendOver {
		return from, 0, false
	}
	n := float64(len(points))
	var sx, sy, sxx, sxy float64
	for _, p := range points {
		x := p.Time.Sub(points[0].Time).Seconds()
		sx, sy, sxx, sxy = sx+x, sy+p.Mean, sxx+x*x, sxy+x*p.Mean
	}
	det := n*sxx - sx*sx
	if det <= 0 {
		return from, 0, false
	}
	slope = (n*sxy - sx*sy) / det
	return agent.SeriesPoint{Time: points[0].Time, Mean: (sy - slope*sx) / n}, slope, true
}

// scale brings figures and times to pixels.
type scale struct {
	from, to  time.Time
	low, high float64
	step      float64 // between lines of the grid
	unit      string
	divisor   float64
}

// scaleOf finds a scale for all that is drawn. Figures that are never below
// zero begin there, so that a growth is seen for what it is.
func scaleOf(c agent.Chart, points []agent.SeriesPoint) scale {
	s := scale{from: points[0].Time, to: points[len(points)-1].Time, divisor: 1, unit: c.Unit}
	for _, p := range points {
		s.low, s.high = min(s.low, p.Min), max(s.high, p.Max)
	}
	if c.Limit > 0 {
		s.high = max(s.high, c.Limit)
	}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	if c.Unit == "bytes" {
		s.divisor, s.unit = mebi, "MiB"
		s.high = max(s.high, mebi)
	}
	s.step = nice((s.high-s.low)/s.divisor/6) * s.divisor
	s.low = math.Floor(s.low/s.step) * s.step
	// Room above the highest, for names of marks.
	s.high = math.Ceil((s.high+0.6*s.step)/s.step) * s.step
	return s
}

// nice rounds a step up to 1, 2, 2.5 or 5 times a power of ten.
func nice(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, n := range []float64{1, 2, 2.5, 5} {
		if step <= n*power*(1+1e-9) {
			return n * power
		}
	}
	return 10 * power
}

func (s scale) y(v float64) int {
	share := min(max((v-s.low)/(s.high-s.low), 0), 1)
	return bottom - int(math.Round(share*float64(bottom-top)))
}

func (s scale) x(t time.Time) int {
	share := min(max(float64(t.Sub(s.from))/float64(s.to.Sub(s.from)), 0), 1)
	return left + int(math.Round(share*float64(right-left)))
}

// steps are the values of the grid.
func (s scale) steps() []float64 {
	var all []float64
	for n := 0; n < 20; n++ {
		v := s.low + float64(n)*s.step
		if v > s.high+s.step/1000 {
			break
		}
		all = append(all, v)
	}
	return all
}

// text writes a value of the grid.
func (s scale) text(v float64) string {
	digits := 0
	if step := s.step / s.divisor; step < 1 || step != math.Trunc(step) {
		digits = min(max(int(math.Ceil(-math.Log10(step)))+1, 1), 6)
	}
	text := strconv.FormatFloat(v/s.divisor, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return strings.TrimSpace(text + " " + cut(s.unit, 8))
}

// exact writes a value as it is told in words.
func exact(v float64, unit string) string {
	text := func(v float64, unit string) string {
		return strings.TrimSpace(strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + " " + cut(unit, 12))
	}
	switch {
	case unit != "bytes":
		return text(v, unit)
	case v >= 100*gibi:
		return text(v/gibi, "GiB")
	}
	return text(v/mebi, "MiB")
}

// times are the moments on the axis, and how they are written.
func (s scale) times() ([]time.Time, string) {
	const day = 24 * time.Hour
	span := s.to.Sub(s.from)
	step := 14 * day
	for _, d := range []time.Duration{
		time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day,
	} {
		if span <= 9*d {
			step = d
			break
		}
	}
	format := "15:04"
	switch {
	case step < time.Minute:
		format = "15:04:05"
	case step >= day:
		format = "2 Jan"
	case step >= 12*time.Hour:
		format = "2 Jan 15:04"
	}
	var all []time.Time
	for t := s.from.Truncate(step); !t.After(s.to) && len(all) < 12; t = t.Add(step) {
		if !t.Before(s.from) {
			all = append(all, t)
		}
	}
	return all, format
}

// cut makes one line of a text, of at most so many letters.
func cut(text string, most int) string {
	letters := []rune(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " "))
	if len(letters) <= most {
		return string(letters)
	}
	return string(letters[:most-1]) + "…"
}
