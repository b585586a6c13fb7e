package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func openSeries(t *testing.T, cfg SeriesConfig) *Series {
	t.Helper()
	s, err := NewSeries(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestA16SeriesComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "series.db")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := begin.Add(3 * time.Hour)
	s := openSeries(t, SeriesConfig{Path: path, Now: func() time.Time { return now }})
	random := rand.New(rand.NewPCG(1, 2))
	var want []agent.SeriesPoint
	for at := begin; at.Before(now); at = at.Add(time.Minute) {
		if random.IntN(10) == 0 {
			continue // a gap
		}
		mean := random.Float64() * math.Pow(10, float64(random.IntN(12)))
		p := agent.SeriesPoint{Time: at, Min: mean * 0.5, Mean: mean, Max: mean * 1.7}
		want = append(want, p)
		for range 2 { // twice is once
			if err := s.Put(t.Context(), Minutes, at, map[string]agent.SeriesPoint{"app/web/memory": p, "app/api/memory": {Mean: 1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := s.Range(t.Context(), Minutes, "app/web/memory", begin)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d points, want %d", len(got), len(want))
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 0.002*b }
	for i, p := range got {
		if !p.Time.Equal(want[i].Time) || !near(p.Min, want[i].Min) || !near(p.Mean, want[i].Mean) || !near(p.Max, want[i].Max) {
			t.Fatalf("point %d is %+v, want %+v", i, p, want[i])
		}
	}
	if late, err := s.Range(t.Context(), Minutes, "app/web/memory", now.Add(-10*time.Minute)); err != nil || len(late) == 0 || len(late) > 10 {
		t.Errorf("%d points of the last ten minutes, %v", len(late), err)
	}
	names, err := s.Names(t.Context(), "app/", begin)
	if err != nil || len(names) != 2 {
		t.Errorf("series %v, %v", names, err)
	}
	now = now.Add(72 * time.Hour)
	if err := s.Put(t.Context(), FiveMinutes, now, map[string]agent.SeriesPoint{"app/new/memory": {Mean: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Names(t.Context(), "app/", begin); err != nil || len(names) != 1 {
		t.Errorf("minutes are kept after two days: %v, %v", names, err)
	}
}

func TestSeriesKeepToTheirBudget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "series.db")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	s := openSeries(t, SeriesConfig{Path: path, Budget: 600 << 10, Now: func() time.Time { return now }})
	for now.Before(begin.Add(20 * 24 * time.Hour)) {
		points := map[string]agent.SeriesPoint{}
		for i := range 50 {
			points[fmt.Sprintf("pod/%d/memory", i)] = agent.SeriesPoint{Min: 1, Mean: float64(now.Unix() % 1000), Max: 2000}
		}
		if err := s.Put(t.Context(), FiveMinutes, now, points); err != nil {
			t.Fatal(err)
		}
		now = now.Add(30 * time.Minute)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if size, err := s.size(t.Context()); err != nil || size > 600<<10 {
		t.Errorf("%d bytes in use, %v", size, err)
	}
	if newest, err := s.Range(t.Context(), FiveMinutes, "pod/1/memory", now.Add(-24*time.Hour)); err != nil || len(newest) == 0 {
		t.Errorf("the newest went too: %d points, %v", len(newest), err)
	}
}

func TestDamagedSeriesAreBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "series.db")
	if err := os.WriteFile(path, []byte("this is no database, and never was one; it is long enough to be read as a page"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openSeries(t, SeriesConfig{Path: path})
	if err := s.Put(t.Context(), Minutes, time.Now(), map[string]agent.SeriesPoint{"x": {Mean: 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

func FuzzPackedPoints(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		unpack(data, time.Unix(0, 0), time.Minute)
		packPoint(data, 59, agent.SeriesPoint{Min: 1, Mean: 2, Max: 3})
	})
}
