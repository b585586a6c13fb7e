package bench

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops"
	"hks.dev/hks/agent/store"
)

// Goals of the kept figures.
const (
	seriesOnDisk    = 200 << 20 // bytes, of thirty days
	seriesQuery     = 20 * time.Millisecond
	seriesProcessor = 0.01 // of a core
)

// BenchmarkSeriesOfThreeHundredPods keeps 300 pods with ten figures each: what
// thirty days take on the disk (a plain table with a row a point beside it),
// how long a chart of a day takes, and what an hour of samples takes of a
// core. The two lengths are shortened and multiplied: each hour is as large as
// the one before.
func BenchmarkSeriesOfThreeHundredPods(b *testing.B) {
	const pods, figures, hours = 300, 10, 8
	for b.Loop() {
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		path := filepath.Join(b.TempDir(), "series.db")
		series, err := store.NewSeries(store.SeriesConfig{Path: path, Budget: 4 << 30, Now: func() time.Time { return now }})
		if err != nil {
			b.Fatal(err)
		}
		if err := series.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
		seed := rand.Uint64()
		b.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		levels := make([]float64, pods*figures)
		for i := range levels {
			levels[i] = 1e6 * (1 + random.Float64()*500)
		}
		names := make([]string, len(levels))
		for i := range names {
			names[i] = fmt.Sprintf("app-%d/production#figure-%d#app-%d-production-7c9d8f6b5-x%d/app", i%30, i/pods, i%30, i%pods)
		}
		size := func() int64 {
			var sum int64
			for _, suffix := range []string{"", "-wal"} {
				if info, err := os.Stat(path + suffix); err == nil {
					sum += info.Size()
				}
			}
			return sum
		}
		point := func(i int) agent.SeriesPoint {
			levels[i] *= 1 + 0.01*random.NormFloat64()
			return agent.SeriesPoint{Min: levels[i] * 0.98, Mean: levels[i], Max: levels[i] * 1.03}
		}
		first := map[string]agent.SeriesPoint{} // names are kept once, whatever the hours
		for i, name := range names {
			first[name] = point(i)
		}
		if err := series.Put(b.Context(), store.FiveMinutes, now.Add(-time.Hour), first); err != nil {
			b.Fatal(err)
		}
		if err := series.Close(); err != nil {
			b.Fatal(err)
		}
		if err := series.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
		var per [2]float64 // bytes an hour, of each tier
		for n, tier := range []store.Tier{store.FiveMinutes, store.Minutes} {
			before, length := size(), hours
			if n == 1 {
				length = 2
			}
			for at := now; at.Before(now.Add(time.Duration(length) * time.Hour)); at = at.Add(tier.Step) {
				points := make(map[string]agent.SeriesPoint, len(names))
				for i, name := range names {
					points[name] = point(i)
				}
				if err := series.Put(b.Context(), tier, at, points); err != nil {
					b.Fatal(err)
				}
			}
			if err := series.Close(); err != nil { // all of it into the file
				b.Fatal(err)
			}
			if err := series.Open(b.Context()); err != nil {
				b.Fatal(err)
			}
			per[n] = float64(size()-before) / float64(length)
		}
		month := per[0]*24*30 + per[1]*48
		plain := float64(pods*figures) * (12*24*30 + 60*48) * 40 // a row has a key, a time and three numbers
		b.ReportMetric(month/(1<<20), "MiB/30days")
		b.ReportMetric(month/plain, "of-a-row-a-point")
		if month > seriesOnDisk {
			b.Logf("over the goal of %d MiB", seriesOnDisk>>20)
		}
		now = now.Add(hours * time.Hour)
		begin := time.Now()
		const charts = 100
		for i := range charts {
			if points, err := series.Range(b.Context(), store.FiveMinutes, names[i*7], now.Add(-24*time.Hour)); err != nil || len(points) < 12*(hours-1) {
				b.Fatalf("%d points, %v", len(points), err)
			}
		}
		took := time.Since(begin) / charts
		b.ReportMetric(took.Seconds()*1000, "ms/chart")
		if took > seriesQuery {
			b.Logf("over the goal of %s", seriesQuery)
		}
		b.ReportMetric(recorderShare(b, series, pods), "of-a-core")
		if err := series.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// recorderShare is what taking and writing samples needs of a core.
func recorderShare(b *testing.B, series *store.Series, pods int) float64 {
	b.Helper()
	recorder, err := aiops.NewRecorder(series, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	var f aiops.Figures
	for i := range pods {
		name := fmt.Sprintf("app-%d-production-7c9d8f6b5-y%d", i%30, i)
		f.Pods = append(f.Pods, aiops.Sample{Pod: name, Subject: agent.Subject{Kind: agent.SubjectApp, Name: fmt.Sprintf("app-%d", i%30), Environment: agent.Production},
			Containers: []aiops.ContainerFigures{{Name: "app", RSS: int64(i) << 20}, {Name: "proxy", RSS: 1 << 20}}})
	}
	const span = 10 * time.Minute
	before := processor(b)
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for end := at.Add(span); at.Before(end); at = at.Add(15 * time.Second) {
		recorder.Figures(b.Context(), at, f)
	}
	share := (processor(b) - before).Seconds() / span.Seconds()
	if share > seriesProcessor {
		b.Logf("over the goal of %v", seriesProcessor)
	}
	return share
}

// processor is the time that this process has had on processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
