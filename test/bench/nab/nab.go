// Package nab has the public half of the server series of the Numenta Anomaly
// Benchmark (testdata, with their licence and labels) and its score.
package nab

import (
	"compress/gzip"
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

//go:embed testdata
var data embed.FS

// Series is one series with the windows that hold its anomalies.
type Series struct {
	Name    string
	T       []int64 // Unix seconds
	V       []float64
	Windows [][2]int64 // Unix seconds, both edges within
}

// Load returns all series, by name.
func Load() ([]Series, error) {
	text, err := data.ReadFile("testdata/windows.json")
	if err != nil {
		return nil, fmt.Errorf("reading the windows: %w", err)
	}
	var windows map[string][][2]string
	if err := json.Unmarshal(text, &windows); err != nil {
		return nil, fmt.Errorf("reading the windows: %w", err)
	}
	var all []Series
	for _, name := range slices.Sorted(maps.Keys(windows)) {
		s, err := load(name, windows[name])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func load(name string, windows [][2]string) (Series, error) {
	s := Series{Name: name}
	file, err := data.Open("testdata/" + name + ".gz")
	if err != nil {
		return s, err
	}
	defer func() { _ = file.Close() }() // only read from
	plain, err := gzip.NewReader(file)
	if err != nil {
		return s, err
	}
	rows, err := csv.NewReader(plain).ReadAll()
	if err != nil {
		return s, err
	}
	for _, row := range rows[1:] {
		at, err := time.Parse(time.DateTime, row[0])
		if err != nil {
			return s, err
		}
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return s, err
		}
		s.T, s.V = append(s.T, at.Unix()), append(s.V, v)
	}
	for _, w := range windows {
		from, err := time.Parse("2006-01-02 15:04:05.000000", w[0])
		if err != nil {
			return s, err
		}
		to, err := time.Parse("2006-01-02 15:04:05.000000", w[1])
		if err != nil {
			return s, err
		}
		s.Windows = append(s.Windows, [2]int64{from.Unix(), to.Unix()})
	}
	return s, nil
}

// probation is how many rows are for learning: what is found there does not
// count.
func (s Series) probation() int { return min(len(s.T)*15/100, 750) }

// weight is what a detection is worth at a place: y is -1 at the left edge of
// a window and 0 at the right one.
func weight(y float64) float64 { return (2/(1+math.Exp(5*y)) - 1) / 0.98661 }

// falseAlarm is what a detection outside of windows costs, as a share.
const falseAlarm = 0.11

// Result is the score of one or more series.
type Result struct {
	Raw     float64
	Windows int
	Found   int
	False   int
}

// Score is the benchmark's standard profile: 0 for finding nothing, 100 for
// finding everything at once with no false alarm.
func (r Result) Score() float64 { return 100 * (r.Raw + float64(r.Windows)) / float64(2*r.Windows) }

// Add sums results.
func (r Result) Add(o Result) Result {
	return Result{r.Raw + o.Raw, r.Windows + o.Windows, r.Found + o.Found, r.False + o.False}
}

// Judge scores detections at some times, Unix seconds.
func (s Series) Judge(detections []int64) Result {
	r := Result{Windows: len(s.Windows)}
	best := make([]float64, len(s.Windows))
	for i := range best {
		best[i] = -1
	}
	begin := s.T[s.probation()]
	for _, t := range detections {
		if t < begin {
			continue
		}
		inside, last := -1, -1
		for i, w := range s.Windows {
			if t >= w[0] && t <= w[1] {
				inside = i
			}
			if t > w[1] {
				last = i
			}
		}
		if inside >= 0 {
			w := s.Windows[inside]
			best[inside] = max(best[inside], weight(float64(t-w[1])/float64(w[1]-w[0])))
			continue
		}
		r.False++
		cost := -1.0
		if last >= 0 {
			w := s.Windows[last]
			if y := float64(t-w[1]) / float64(w[1]-w[0]); y <= 3 {
				cost = weight(y)
			}
		}
		r.Raw += falseAlarm * cost
	}
	for _, b := range best {
		if b > -1 {
			r.Found++
		}
		r.Raw += b
	}
	return r
}
