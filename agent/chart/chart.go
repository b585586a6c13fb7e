// Package chart draws the pictures of reports.
package chart

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-analyze/charts"

	"hks.dev/hks/agent"
)

// The picture's size, pixels.
const (
	Width  = 800
	Height = 320
)

// The plot's place in it.
const (
	left   = 82
	right  = Width - 20
	top    = 50
	bottom = Height - 36
)

const (
	mostMarks  = 8 // the newest; more would be a wall
	titleChars = 92
	markChars  = 14
	letter     = 6 // about a letter's width in small text, pixels
	apart      = 6 // the least between two marks, pixels
)

// ErrEmpty is returned for a chart with nothing to draw.
var ErrEmpty = errors.New("a chart needs figures of two moments")

// The colours. Limit and trend are dashed too, for whoever does not see them.
var (
	ink   = charts.ColorRGB(38, 44, 54)
	grey  = charts.ColorRGB(105, 113, 125)
	faint = charts.ColorRGB(226, 230, 235)
	blue  = charts.ColorRGB(31, 99, 214)   // the line
	pale  = charts.ColorRGB(200, 217, 246) // from lowest to highest
	red   = charts.ColorRGB(200, 30, 45)   // the limit
	amber = charts.ColorRGB(224, 130, 0)   // the trend
	mauve = charts.ColorRGB(110, 70, 160)  // marks
)

// PNG draws a chart as a picture of Width by Height pixels: the mean as a
// line in a band from lowest to highest, the limit, the trend, and marks such
// as releases and restarts. It returns ErrEmpty where there is nothing to draw.
func PNG(c agent.Chart) ([]byte, error) {
	points := usable(c.Points)
	if len(points) < 2 {
		return nil, ErrEmpty
	}
	d := drawing{
		Painter: charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: Width, Height: Height}),
		scale:   scaleOf(c, points), chart: c, points: points,
	}
	d.FilledRect(0, 0, Width, Height, charts.ColorWhite, charts.ColorWhite, 0)
	d.axes()
	d.figures()
	d.trend()
	d.limit()
	d.marks()
	d.write(cut(c.Title, titleChars), 16, 26, 12, ink)
	data, err := d.Bytes()
	if err != nil {
		return nil, fmt.Errorf("drawing a chart: %w", err)
	}
	return data, nil
}

// drawing is a picture in the making.
type drawing struct {
	*charts.Painter
	scale  scale
	chart  agent.Chart
	points []agent.SeriesPoint
}

func (d drawing) write(text string, x, y int, size float64, color charts.Color) {
	d.Text(text, x, y, 0, font(size, color))
}

// width of a text as drawn, pixels.
func (d drawing) width(text string, size float64) int {
	return d.MeasureText(text, 0, font(size, ink)).Width()
}

// font is one that the library brings along: nothing is read from the disk.
func font(size float64, color charts.Color) charts.FontStyle {
	return charts.FontStyle{FontSize: size, FontColor: color, Font: charts.GetFont(charts.FontFamilyNotoSans)}
}

// axes draws the grid with its values and times.
func (d drawing) axes() {
	for _, v := range d.scale.steps() {
		y := d.scale.y(v)
		d.LineStroke([]charts.Point{{X: left, Y: y}, {X: right, Y: y}}, faint, 1)
		text := d.scale.text(v)
		d.write(text, left-8-d.width(text, 9), y+4, 9, grey)
	}
	times, format := d.scale.times()
	for _, t := range times {
		x := d.scale.x(t)
		d.LineStroke([]charts.Point{{X: x, Y: bottom}, {X: x, Y: bottom + 4}}, grey, 1)
		text := t.UTC().Format(format)
		w := d.width(text, 9)
		d.write(text, min(max(x-w/2, 4), Width-w-4), bottom+18, 9, grey)
	}
	d.LineStroke([]charts.Point{{X: left, Y: bottom}, {X: right, Y: bottom}}, grey, 1)
	d.write("UTC", Width-30, Height-4, 8, grey)
}

// figures draws the band and the line; a gap stays one.
func (d drawing) figures() {
	for _, run := range runs(d.points) {
		line := make([]charts.Point, 0, len(run))
		band := make([]charts.Point, 0, 2*len(run))
		for _, p := range run {
			x := d.scale.x(p.Time)
			line = append(line, charts.Point{X: x, Y: d.scale.y(p.Mean)})
			band = append(band, charts.Point{X: x, Y: d.scale.y(p.Max)})
		}
		for _, p := range slices.Backward(run) {
			band = append(band, charts.Point{X: d.scale.x(p.Time), Y: d.scale.y(p.Min)})
		}
		if len(run) > 1 {
			d.FillArea(band, pale)
		}
		d.LineStroke(line, blue, 2)
	}
}

// trend draws where the figures go, up to the limit or the edge.
func (d drawing) trend() {
	from, slope, ok := trendOf(since(d.points, d.chart.Marks))
	if !ok {
		return
	}
	at := func(t time.Time) charts.Point {
		return charts.Point{X: d.scale.x(t), Y: d.scale.y(from.Mean + slope*t.Sub(from.Time).Seconds())}
	}
	d.DashedLineStroke([]charts.Point{at(from.Time), at(d.points[len(d.points)-1].Time)}, amber, 2, []float64{6, 4})
	d.write("- - trend", right-d.width("- - trend", 9), 26, 9, amber)
}

// limit draws what the figures must stay under.
func (d drawing) limit() {
	if d.chart.Limit <= 0 {
		return
	}
	y := d.scale.y(d.chart.Limit)
	d.DashedLineStroke([]charts.Point{{X: left, Y: y}, {X: right, Y: y}}, red, 2, []float64{8, 4})
	text := "limit " + exact(d.chart.Limit, d.chart.Unit)
	d.write(text, left+6, y-5, 9, red)
}

// marks draws moments, each with its name at the top, one line higher or
// lower so that neighbours do not cover each other.
func (d drawing) marks() {
	marks := slices.Clone(d.chart.Marks)
	slices.SortStableFunc(marks, func(a, b agent.ChartMark) int { return a.At.Compare(b.At) })
	marks = slices.DeleteFunc(marks, func(m agent.ChartMark) bool { return m.At.Before(d.scale.from) || m.At.After(d.scale.to) })
	marks = marks[max(len(marks)-mostMarks, 0):]
	edge := [2]int{left, left} // where the last name of each line ends
	last := -apart
	for _, m := range marks {
		x := d.scale.x(m.At)
		if x-last < apart {
			continue // one line for what comes at once
		}
		last = x
		d.LineStroke([]charts.Point{{X: x, Y: top - 4}, {X: x, Y: bottom}}, mauve, 2)
		text := cut(m.Text, markChars)
		w := d.width(text, 9)
		from := min(x+3, right-w)
		for row, end := range edge {
			if from >= end {
				d.write(text, from, top+6+row*12, 9, mauve)
				edge[row] = from + w + letter
				break
			}
		}
	}
}
