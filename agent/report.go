package agent

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Headline is a report's first line. It may hold words of others.
func (r Report) Headline() string {
	i := r.Incident
	switch {
	case r.Kind == ReportDigest:
		return fmt.Sprintf("%d incidents at once", len(r.Digest))
	case r.Kind == ReportTest:
		return "Test message of hks"
	case i == nil:
		return "News of hks"
	}
	switch r.Kind {
	case ReportResolved:
		return "Resolved: " + i.Title
	case ReportReminder:
		return "Still going on: " + i.Title
	case ReportReopened:
		return "Again: " + i.Title
	case ReportFlapping:
		return "Comes and goes: " + i.Title
	}
	if i.Severity == SeverityCritical {
		return "Critical: " + i.Title
	}
	return "Warning: " + i.Title
}

// Figures are the numbers of a report's incident, beside when it began:
// where it stands, how fast it grows, how long there is left, and the release
// just before.
func (r Report) Figures() []Fact {
	i := r.Incident
	if i == nil {
		return nil
	}
	var all []Fact
	add := func(name, value string) {
		if value != "" {
			all = append(all, Fact{Name: name, Value: value})
		}
	}
	if points := r.Chart.known(); len(points) > 0 {
		now := figure(points[len(points)-1].Mean, r.Chart.Unit)
		if r.Chart.Limit > 0 {
			add("Now of limit", now+" of "+figure(r.Chart.Limit, r.Chart.Unit))
		} else {
			add("Now", now)
		}
	}
	if r.Kind != ReportResolved {
		add("Growth", r.Chart.growth(i.Since))
		if i.TimeToLimit > 0 {
			add("Time to limit", "about "+while(i.TimeToLimit))
		}
	}
	if i.Confidence > 0 {
		add("Confidence", fmt.Sprintf("%.0f %%", 100*min(i.Confidence, 1)))
	}
	if c := i.Change; c != nil {
		text := fmt.Sprintf("%d, %s by %s, %s", c.Release, c.Why, c.By, Clock(c.At))
		if before := i.Since.Sub(c.At); before >= 0 && !i.Since.IsZero() {
			text += ", " + while(before) + " before"
		}
		add("Release before", text)
	}
	return all
}

// Words tell what a chart shows; "" where it shows nothing.
func (c *Chart) Words() string {
	points := c.known()
	if len(points) == 0 {
		return ""
	}
	first, last := points[0], points[len(points)-1]
	text := fmt.Sprintf("%s: from %s to %s in %s", c.Title, figure(first.Mean, c.Unit), figure(last.Mean, c.Unit), while(last.Time.Sub(first.Time)))
	if c.Limit > 0 {
		text += ", limit " + figure(c.Limit, c.Unit)
	}
	const most = 8 // the newest
	for _, m := range c.Marks[max(len(c.Marks)-most, 0):] {
		text += fmt.Sprintf("; %s at %s", m.Text, Clock(m.At))
	}
	return text
}

// Sparkline draws a chart in one line of text, of at most width characters; a
// gap is a blank. It is "" for less than three points.
func (c *Chart) Sparkline(width int) string {
	points := c.known()
	if len(points) < 3 || width < 1 {
		return ""
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	width = min(width, len(points))
	sums, counts := make([]float64, width), make([]int, width)
	first, span := points[0].Time, points[len(points)-1].Time.Sub(points[0].Time)
	for n, p := range points {
		at := n * width / len(points)
		if span > 0 {
			at = min(max(int(float64(width)*float64(p.Time.Sub(first))/float64(span)), 0), width-1)
		}
		sums[at] += p.Mean
		counts[at]++
	}
	low, high := math.Inf(1), math.Inf(-1)
	for n := range sums {
		if counts[n] > 0 {
			sums[n] /= float64(counts[n])
			low, high = min(low, sums[n]), max(high, sums[n])
		}
	}
	var b strings.Builder
	for n, v := range sums {
		switch {
		case counts[n] == 0:
			b.WriteByte(' ')
		case high <= low:
			b.WriteRune(levels[len(levels)/2])
		default:
			b.WriteRune(levels[min(int((v-low)/(high-low)*float64(len(levels))), len(levels)-1)])
		}
	}
	return b.String()
}

// known are the points of a chart that are numbers.
func (c *Chart) known() []SeriesPoint {
	if c == nil {
		return nil
	}
	points := make([]SeriesPoint, 0, len(c.Points))
	for _, p := range c.Points {
		if !math.IsNaN(p.Mean) && math.Abs(p.Mean) < 1e18 {
			points = append(points, p)
		}
	}
	return points
}

// growth tells how much a figure in bytes has grown since a trouble began; ""
// where it has not.
func (c *Chart) growth(since time.Time) string {
	points := c.known()
	if c == nil || c.Unit != "bytes" || len(points) < 2 {
		return ""
	}
	last := points[len(points)-1]
	for _, p := range points {
		if p.Time.Before(since) {
			continue
		}
		if last.Mean > p.Mean && last.Time.Sub(p.Time) >= time.Minute {
			return fmt.Sprintf("+%s in %s", figure(last.Mean-p.Mean, c.Unit), while(last.Time.Sub(p.Time)))
		}
		break
	}
	return ""
}

// Clock writes a time for people who may be anywhere.
func Clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// figure writes a value of a chart in its unit.
func figure(v float64, unit string) string {
	const mebi = 1 << 20
	switch {
	case unit == "bytes" && math.Abs(v) >= 10*1024*mebi:
		return strconv.FormatFloat(v/mebi/1024, 'f', 1, 64) + " GiB"
	case unit == "bytes" && math.Abs(v) < 10*mebi:
		return strconv.FormatFloat(v/mebi, 'f', 1, 64) + " MiB"
	case unit == "bytes":
		return strconv.FormatFloat(v/mebi, 'f', 0, 64) + " MiB"
	case math.Abs(v) < 10:
		v = math.Round(v*100) / 100
	default:
		v = math.Round(v)
	}
	return strings.TrimSpace(strconv.FormatFloat(v, 'f', -1, 64) + " " + unit)
}

// while writes a duration in its two largest units.
func while(d time.Duration) string {
	two := func(n int, unit string, m int, lesser string) string {
		if m == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, m, lesser)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}
