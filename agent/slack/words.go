package slack

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// value writes a figure in its unit.
func value(v float64, unit string) string {
	switch unit {
	case "bytes":
		const mebi = 1 << 20
		switch {
		case math.Abs(v) >= 10*1024*mebi:
			return strconv.FormatFloat(v/mebi/1024, 'f', 1, 64) + " GiB"
		case math.Abs(v) < 10*mebi:
			return strconv.FormatFloat(v/mebi, 'f', 1, 64) + " MiB"
		}
		return strconv.FormatFloat(v/mebi, 'f', 0, 64) + " MiB"
	case "cores":
		return strconv.FormatFloat(v, 'f', 2, 64) + " cores"
	case "":
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " " + line(unit)
}

// lasting writes a while in its two largest units.
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		if m := int(d.Minutes()) % 60; m > 0 {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), m)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	if h := int(d.Hours()) % 24; h > 0 {
		return fmt.Sprintf("%d d %d h", int(d.Hours())/24, h)
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}

// moment writes a time so that Slack shows it in the reader's time zone.
func moment(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), clock(t))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// number tells whether a chart can show a figure.
func number(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// shown are the points of a chart that are numbers.
func shown(c *agent.Chart) []agent.SeriesPoint {
	if c == nil {
		return nil
	}
	points := make([]agent.SeriesPoint, 0, len(c.Points))
	for _, p := range c.Points {
		if number(p.Mean) {
			points = append(points, p)
		}
	}
	return points
}

const bars = "▁▂▃▄▅▆▇█"

// sparkline draws a chart in one line of text; "" where there is nothing to draw.
func sparkline(c *agent.Chart, width int) string {
	points := shown(c)
	if len(points) < 3 {
		return ""
	}
	levels := []rune(bars)
	width = min(width, len(points))
	low, high := math.Inf(1), math.Inf(-1)
	sums, counts := make([]float64, width), make([]int, width)
	first, span := points[0].Time, points[len(points)-1].Time.Sub(points[0].Time)
	for i, p := range points {
		at := i * width / len(points)
		if span > 0 { // by time, so that a gap is a gap
			at = min(max(int(float64(width)*float64(p.Time.Sub(first))/float64(span)), 0), width-1)
		}
		sums[at] += p.Mean
		counts[at]++
	}
	for i := range sums {
		if counts[i] > 0 {
			sums[i] /= float64(counts[i])
			low, high = min(low, sums[i]), max(high, sums[i])
		}
	}
	var b strings.Builder
	for i, v := range sums {
		switch {
		case counts[i] == 0:
			b.WriteByte(' ')
		case high <= low:
			b.WriteRune(levels[len(levels)/2])
		default:
			b.WriteRune(levels[min(int((v-low)/(high-low)*float64(len(levels))), len(levels)-1)])
		}
	}
	return b.String()
}

// inWords tells what a chart shows; "" where it shows nothing.
func inWords(c *agent.Chart) string {
	points := shown(c)
	if len(points) == 0 {
		return ""
	}
	first, last := points[0], points[len(points)-1]
	text := fmt.Sprintf("%s: from %s to %s in %s", line(c.Title), value(first.Mean, c.Unit), value(last.Mean, c.Unit), lasting(last.Time.Sub(first.Time)))
	if c.Limit > 0 {
		text += ", limit " + value(c.Limit, c.Unit)
	}
	for _, m := range c.Marks {
		text += fmt.Sprintf("; %s at %s", line(m.Text), clock(m.At))
	}
	return text
}

// growth tells how much a figure in bytes has grown since a trouble began; ""
// where it has not.
func growth(c *agent.Chart, since time.Time) string {
	points := shown(c)
	if c == nil || c.Unit != "bytes" || len(points) < 2 {
		return ""
	}
	last := points[len(points)-1]
	for _, p := range points {
		if p.Time.Before(since) {
			continue
		}
		if last.Mean > p.Mean && last.Time.Sub(p.Time) >= time.Minute {
			return fmt.Sprintf("+%s in %s", value(last.Mean-p.Mean, c.Unit), lasting(last.Time.Sub(p.Time)))
		}
		return ""
	}
	return ""
}
