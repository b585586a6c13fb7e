package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/test/bench/days"
	"hks.dev/hks/test/bench/nab"
)

// seed is a new one at each run; HKS_SEED repeats one.
func seed(b *testing.B) uint64 {
	b.Helper()
	if text := os.Getenv("HKS_SEED"); text != "" {
		s, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	return rand.Uint64()
}

// BenchmarkLeaks scores the leak detector on generated days, against the
// linear forecast that is written most often and an alarm at 90 %, on the same
// days.
func BenchmarkLeaks(b *testing.B) {
	for b.Loop() {
		s := seed(b)
		scores := days.Try(s, 30, days.Detector(detect.Default(), detect.MemoryLeak), days.Linear, days.Static)
		b.Logf("seed %d (again with HKS_SEED=%d)", s, s)
		for i, name := range []string{"detector", "linear forecast", "static 90 %"} {
			b.Logf("%-16s %s", name, scores[i])
		}
		own, linear := scores[0], scores[1]
		report(b, "precision", fmt.Sprintf("%.3f", own.Precision()), ">= 0.90", own.Precision() >= 0.90)
		report(b, "recall", fmt.Sprintf("%.3f", own.Recall()), ">= 0.95", own.Recall() >= 0.95)
		report(b, "slow warned of", fmt.Sprintf("%.3f", own.WarnedShare()), ">= 0.95", own.WarnedShare() >= 0.95)
		report(b, "time left", fmt.Sprintf("%.2f", own.TimeLeft()), ">= 0.50", own.TimeLeft() >= 0.50)
		b.ReportMetric(own.Precision()/linear.Precision(), "precision/linear")
		b.ReportMetric(own.Recall()/linear.Recall(), "recall/linear")
	}
}

// BenchmarkSeries scores the detector for plain series on the public half of
// the server series, with the same fixed parameters for all. They were chosen
// with these very series in view, so that the score is that of a fit; the
// halves show how evenly it holds.
func BenchmarkSeries(b *testing.B) {
	all, err := nab.Load()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var half [2]nab.Result
		for i, s := range all {
			half[i%2] = half[i%2].Add(s.Judge(s.Detect(detect.Default())))
		}
		both := half[0].Add(half[1])
		report(b, "server series", fmt.Sprintf("%.1f (halves %.1f and %.1f), %d of %d windows, %d false alarms",
			both.Score(), half[0].Score(), half[1].Score(), both.Found, both.Windows, both.False), ">= 55", both.Score() >= 55)
		b.ReportMetric(both.Score(), "score")
	}
}

// BenchmarkDetectors feeds a day of 300 pods with ten series each, every 15
// seconds: five of the container's sample, a volume, requests of a route, and
// three plain ones.
func BenchmarkDetectors(b *testing.B) {
	const pods, day = 300, 24 * 3600
	for b.Loop() {
		names, apps, series := make([]string, pods), make([]string, pods), make([][3]string, pods)
		for i := range pods {
			apps[i] = fmt.Sprintf("app%d", i/3)
			names[i] = fmt.Sprintf("app%d-production-7c9d8f6b5-x%04d", i/3, i)
			for k := range series[i] {
				series[i][k] = fmt.Sprintf("%s/%d", names[i], k)
			}
		}
		before := heap()
		e := detect.New(detect.Default())
		rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // made-up data
		alerts, most := 0, uint64(0)
		began, spent := time.Now(), cpuTime(b)
		for t := int64(1_700_006_400); t < 1_700_006_400+day; t += 15 {
			for i := range pods {
				noise := rng.Float64()
				memory := int64((100 + 20*noise) * (1 << 20))
				if i%100 == 0 { // some do leak
					memory += (t - 1_700_006_400) * 4000
				}
				e.Sample(detect.Sample{T: t, App: apps[i], Pod: names[i], Container: "app", RSS: memory, WorkingSet: memory, Limit: 512 << 20, CPU: 0.1 + noise/100})
				e.Volume(detect.Volume{T: t, Volume: names[i], App: apps[i], Used: 400 + int64(100*noise), Capacity: 1000})
				for _, name := range series[i] {
					e.Point(detect.Point{T: t, Series: name, Value: noise})
				}
				if t%60 == 0 {
					e.Requests(detect.Requests{T: t, Route: names[i], App: apps[i], Count: 100, P95: 50 + 10*noise})
				}
			}
			alerts += len(e.Advance(t + 1))
			if t%(4*3600) == 0 {
				most = max(most, heap()-before)
			}
		}
		core := 100 * (cpuTime(b) - spent).Seconds() / day
		most = max(most, heap()-before)
		runtime.KeepAlive(e)
		b.Logf("a day of %d pods took %s; %d alerts", pods, time.Since(began).Round(time.Millisecond), alerts)
		report(b, "CPU", fmt.Sprintf("%.3f %% of a core", core), "<= 0.5 %", core <= 0.5)
		report(b, "memory", fmt.Sprintf("%.1f MB", float64(most)/1e6), "<= 40 MB", most <= 40e6)
		b.ReportMetric(core, "%-of-core")
		b.ReportMetric(float64(most)/1e6, "MB")
	}
}

// heap is what lives, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpuTime is what the process has used of all cores.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
