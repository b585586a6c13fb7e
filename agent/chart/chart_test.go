package chart

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// leak is a day that grows from 100 to 400 MiB, with noise.
func leak() agent.Chart {
	c := agent.Chart{Title: "Memory of web/production grows", Unit: "bytes", Limit: 512 << 20, Marks: []agent.ChartMark{
		{At: noon.Add(2 * time.Hour), Text: "release 12"}, {At: noon.Add(3 * time.Hour), Text: "restart"},
	}}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 24 * 60 {
		mean := (100 + 300*float64(n)/1440 + 4*random.Float64()) * mebi
		c.Points = append(c.Points, agent.SeriesPoint{Time: noon.Add(time.Duration(n) * time.Minute), Min: mean - 5*mebi, Mean: mean, Max: mean + 9*mebi})
	}
	return c
}

func decode(t *testing.T, c agent.Chart) image.Image {
	t.Helper()
	data, err := PNG(c)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("HKS_CHARTS"); dir != "" {
		if err := os.WriteFile(dir+"/"+strings.ReplaceAll(t.Name(), "/", "-")+".png", data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if b := picture.Bounds(); b.Dx() != Width || b.Dy() != Height {
		t.Fatalf("the picture is %d by %d", b.Dx(), b.Dy())
	}
	return picture
}

// near counts pixels of about a colour in a part of a picture.
func near(picture image.Image, part image.Rectangle, want color.Color) int {
	r, g, b, _ := want.RGBA()
	n := 0
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			pr, pg, pb, _ := picture.At(x, y).RGBA()
			if off(pr, r)+off(pg, g)+off(pb, b) < 40 {
				n++
			}
		}
	}
	return n
}

func off(a, b uint32) int { return int(math.Abs(float64(a>>8) - float64(b>>8))) }

func TestA71ChartShowsLineLimitTrendAndMarks(t *testing.T) {
	c := leak()
	picture := decode(t, c)
	s := scaleOf(c, usable(c.Points))
	row := func(v float64) image.Rectangle {
		return image.Rect(left, s.y(v)-2, right, s.y(v)+3)
	}
	if n := near(picture, row(512*mebi), red); n < (right-left)/2 {
		t.Errorf("the limit's row has %d red pixels", n)
	}
	// The line is where the figures are: low at the left, high at the right.
	for _, at := range []struct {
		hour int
		want float64
	}{{1, 114.5}, {12, 252}, {23, 389.5}} {
		x := s.x(noon.Add(time.Duration(at.hour) * time.Hour))
		y := s.y(at.want * mebi)
		if n := near(picture, image.Rect(x-3, y-5, x+4, y+6), blue); n == 0 {
			t.Errorf("no line at hour %d, (%d,%d)", at.hour, x, y)
		}
		if n := near(picture, image.Rect(x-3, top, x+4, y-12), blue); n != 0 {
			t.Errorf("a line far above the figures at hour %d", at.hour)
		}
	}
	for what, want := range map[string]color.Color{"band": pale, "trend": amber} {
		if n := near(picture, image.Rect(left, top, right, bottom), want); n < 100 {
			t.Errorf("%s: %d pixels", what, n)
		}
	}
	for _, m := range c.Marks {
		x := s.x(m.At)
		if n := near(picture, image.Rect(x-1, top, x+2, bottom), mauve); n < 100 {
			t.Errorf("mark %s: %d pixels", m.Text, n)
		}
	}
}

func TestChartWithoutLimitHasNone(t *testing.T) {
	c := leak()
	c.Limit, c.Marks = 0, nil
	picture := decode(t, c)
	for what, unwanted := range map[string]color.Color{"limit": red, "marks": mauve} {
		if n := near(picture, picture.Bounds(), unwanted); n > 0 {
			t.Errorf("%d pixels of %s, which there are none of", n, what)
		}
	}
}

func TestChartOfAnything(t *testing.T) {
	point := func(minutes int, v float64) agent.SeriesPoint {
		return agent.SeriesPoint{Time: noon.Add(time.Duration(minutes) * time.Minute), Min: v, Mean: v, Max: v}
	}
	var many []agent.SeriesPoint
	for n := range 100_000 {
		many = append(many, point(n, float64(n%977)))
	}
	tests := []struct {
		name  string
		chart agent.Chart
		fails bool
	}{
		{"no points", agent.Chart{Unit: "bytes"}, true},
		{"one point", agent.Chart{Points: []agent.SeriesPoint{point(0, 1)}}, true},
		{"the same time twice", agent.Chart{Points: []agent.SeriesPoint{point(0, 1), point(0, 2)}}, true},
		{"no numbers", agent.Chart{Points: []agent.SeriesPoint{point(0, math.NaN()), point(1, math.Inf(1)), point(2, 1e300)}}, true},
		{"two points", agent.Chart{Unit: "ms", Points: []agent.SeriesPoint{point(0, 1), point(1, 2)}}, false},
		{"all zero", agent.Chart{Unit: "cores", Points: []agent.SeriesPoint{point(0, 0), point(1, 0), point(2, 0)}}, false},
		{"tiny", agent.Chart{Unit: "cores", Points: []agent.SeriesPoint{point(0, 1e-9), point(1, 3e-9)}}, false},
		{"huge", agent.Chart{Unit: "bytes", Limit: 9e15, Points: []agent.SeriesPoint{point(0, 1e15), point(1, 8e15)}}, false},
		{"below zero", agent.Chart{Unit: "x", Points: []agent.SeriesPoint{point(0, -5), point(1, 3)}}, false},
		{"backwards", agent.Chart{Unit: "ms", Points: []agent.SeriesPoint{point(9, 1), point(5, 3), point(1, 2)}}, false},
		{"wrong way round", agent.Chart{Points: []agent.SeriesPoint{{Time: noon, Min: 9, Mean: 5, Max: 1}, point(1, 3)}}, false},
		{"over the limit", agent.Chart{Unit: "bytes", Limit: mebi, Points: []agent.SeriesPoint{point(0, 5*mebi), point(1, 7*mebi)}}, false},
		{"a gap", agent.Chart{Unit: "ms", Points: []agent.SeriesPoint{point(0, 1), point(1, 2), point(2, 1), point(600, 9), point(601, 8)}}, false},
		{"many points", agent.Chart{Unit: "ms", Points: many}, false},
		{"hostile text", agent.Chart{Title: strings.Repeat("<!channel>\x00\n\xff漢字 ", 500), Unit: strings.Repeat("u", 900), Limit: 5, Points: []agent.SeriesPoint{point(0, 1), point(1, 2)},
			Marks: []agent.ChartMark{{At: noon, Text: strings.Repeat("m", 5000)}, {At: noon.AddDate(-9, 0, 0), Text: "long ago"}}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.fails {
				if _, err := PNG(test.chart); !errors.Is(err, ErrEmpty) {
					t.Errorf("%v, not ErrEmpty", err)
				}
				return
			}
			decode(t, test.chart)
		})
	}
}

func TestChartShowsFewOfManyMarks(t *testing.T) {
	c := leak()
	c.Marks = nil
	for n := range 300 {
		c.Marks = append(c.Marks, agent.ChartMark{At: noon.Add(time.Duration(n) * 4 * time.Minute), Text: "restart"})
	}
	picture := decode(t, c)
	columns := 0
	for x := left; x < right; x++ {
		if near(picture, image.Rect(x, bottom-40, x+1, bottom-2), mauve) > 30 {
			columns++
		}
	}
	if columns == 0 || columns > 2*mostMarks {
		t.Errorf("%d columns of marks", columns)
	}
}

func TestAxisInMebibytes(t *testing.T) {
	c := leak()
	s := scaleOf(c, usable(c.Points))
	var texts []string
	for _, v := range s.steps() {
		texts = append(texts, s.text(v))
	}
	if got := strings.Join(texts, ","); got != "0 MiB,100 MiB,200 MiB,300 MiB,400 MiB,500 MiB,600 MiB" {
		t.Errorf("the axis says %s", got)
	}
}

func BenchmarkPNG(b *testing.B) {
	c := leak()
	size := 0
	for b.Loop() {
		data, err := PNG(c)
		if err != nil {
			b.Fatal(err)
		}
		size = len(data)
	}
	b.ReportMetric(float64(size), "bytes/picture")
}
