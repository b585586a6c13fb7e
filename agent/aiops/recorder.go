package aiops

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// SeriesStore keeps series on disk.
type SeriesStore interface {
	Put(ctx context.Context, tier store.Tier, at time.Time, points map[string]agent.SeriesPoint) error
	Range(ctx context.Context, tier store.Tier, name string, since time.Time) ([]agent.SeriesPoint, error)
	Names(ctx context.Context, prefix string, since time.Time) ([]string, error)
	Sweep(ctx context.Context) error
}

// What is kept of each thing: the second part of a series' name.
const (
	seriesCPU      = "cpu"      // cores
	seriesMemory   = "memory"   // bytes, working set
	seriesRSS      = "rss"      // bytes, of one container
	seriesUsed     = "used"     // bytes of a volume or a disk
	seriesCapacity = "capacity" // bytes of a volume or a disk
	seriesRequests = "requests" // in a minute
	seriesErrors   = "errors"   // answers of 500 and above in a minute
	seriesP95      = "p95"      // milliseconds
)

var units = map[string]string{
	seriesCPU: "cores", seriesMemory: "bytes", seriesRSS: "bytes", seriesUsed: "bytes", seriesCapacity: "bytes",
	seriesRequests: "per minute", seriesErrors: "per minute", seriesP95: "ms",
}

// seriesName joins what a series is of: a subject's key, what is measured, and
// the instance, or "" for the sum.
func seriesName(key, what, of string) string { return key + "#" + what + "#" + of }

func parseSeriesName(name string) (key, what, of string, ok bool) {
	parts := strings.SplitN(name, "#", 3)
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// sweepEach is how often what is too old goes.
const sweepEach = time.Hour

// Recorder writes figures down, by minutes and by five minutes, and answers
// from what was written. It is safe for concurrent use.
type Recorder struct {
	store SeriesStore
	log   *slog.Logger

	mu    sync.Mutex // guards what follows
	tiers [2]bucket
	swept time.Time
	away  bool // the last write failed; told once
}

// bucket sums up the step of a tier that is not over.
type bucket struct {
	tier store.Tier
	at   time.Time
	sums map[string]*sum
}

type sum struct {
	low, total, high float64
	n                int
}

// NewRecorder returns a recorder into a store.
func NewRecorder(s SeriesStore, log *slog.Logger) (*Recorder, error) {
	if s == nil || log == nil {
		return nil, errors.New("the recorder needs a store and a log")
	}
	return &Recorder{store: s, log: log, tiers: [2]bucket{{tier: store.Minutes}, {tier: store.FiveMinutes}}}, nil
}

// Figures takes one sample of everything.
func (r *Recorder) Figures(ctx context.Context, at time.Time, f Figures) {
	values := map[string]float64{}
	for _, p := range f.Pods {
		key := keyOf(p.Subject)
		if p.Subject.Name == "" {
			continue // nobody's yet
		}
		values[seriesName(key, seriesCPU, "")] += p.Usage.CPU
		values[seriesName(key, seriesMemory, "")] += float64(p.Usage.Memory)
		values[seriesName(key, seriesCPU, p.Pod)] = p.Usage.CPU
		values[seriesName(key, seriesMemory, p.Pod)] = float64(p.Usage.Memory)
		for _, c := range p.Containers {
			values[seriesName(key, seriesRSS, p.Pod+"/"+c.Name)] = float64(c.RSS)
		}
	}
	for _, n := range f.Nodes {
		key := keyOf(agent.Subject{Kind: agent.SubjectNode, Name: n.Name})
		values[seriesName(key, seriesCPU, "")] = n.CPU
		values[seriesName(key, seriesMemory, "")] = float64(n.Memory)
		if n.DiskCapacity > 0 {
			values[seriesName(key, seriesUsed, "")] = float64(n.DiskUsed)
			values[seriesName(key, seriesCapacity, "")] = float64(n.DiskCapacity)
		}
	}
	for _, v := range f.Volumes {
		values[seriesName(keyOf(v.Subject), seriesUsed, v.Claim)] = float64(v.Used)
		values[seriesName(keyOf(v.Subject), seriesCapacity, v.Claim)] = float64(v.Capacity)
	}
	r.add(ctx, at, values)
}

// Requests takes one minute of requests.
func (r *Recorder) Requests(ctx context.Context, at time.Time, all []RequestFigures) {
	values := map[string]float64{}
	for _, f := range all {
		key := keyOf(f.Subject)
		values[seriesName(key, seriesRequests, "")] += float64(f.Count)
		values[seriesName(key, seriesErrors, "")] += float64(f.Errors)
		values[seriesName(key, seriesP95, "")] = max(values[seriesName(key, seriesP95, "")], f.P95)
	}
	r.add(ctx, at, values)
}

func (r *Recorder) add(ctx context.Context, at time.Time, values map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.tiers {
		b := &r.tiers[i]
		if step := at.UTC().Truncate(b.tier.Step); !step.Equal(b.at) {
			r.flush(ctx, b)
			b.at, b.sums = step, make(map[string]*sum, len(values))
		}
		for name, v := range values {
			s, ok := b.sums[name]
			if !ok {
				b.sums[name] = &sum{low: v, total: v, high: v, n: 1}
				continue
			}
			s.low, s.high, s.total, s.n = min(s.low, v), max(s.high, v), s.total+v, s.n+1
		}
	}
	if at.Sub(r.swept) >= sweepEach {
		r.swept = at
		if err := r.store.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "old figures could not be let go of", "error", err)
		}
	}
}

// flush writes a step that is over. The caller holds mu.
func (r *Recorder) flush(ctx context.Context, b *bucket) {
	if len(b.sums) == 0 {
		return
	}
	points := make(map[string]agent.SeriesPoint, len(b.sums))
	for name, s := range b.sums {
		points[name] = agent.SeriesPoint{Min: s.low, Mean: s.total / float64(s.n), Max: s.high}
	}
	err := r.store.Put(context.WithoutCancel(ctx), b.tier, b.at, points)
	if err != nil && !r.away {
		r.log.WarnContext(ctx, "figures could not be written: charts have a gap", "error", err)
	}
	r.away = err != nil
}

// Close writes what there is of the steps that are not over.
func (r *Recorder) Close(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.tiers {
		r.flush(ctx, &r.tiers[i])
		r.tiers[i].sums = nil
	}
}

// tierFor is the finest tier that still has all of a while.
func tierFor(since time.Duration) store.Tier {
	if since <= store.Minutes.Keep {
		return store.Minutes
	}
	return store.FiveMinutes
}

// Series returns all that is kept of one thing from then on: the sums first,
// then those of instances.
func (r *Recorder) Series(ctx context.Context, key string, now time.Time, since time.Duration) ([]agent.Series, error) {
	from := now.Add(-since)
	tier := tierFor(since)
	names, err := r.store.Names(ctx, key+"#", from)
	if err != nil {
		return nil, err
	}
	var all []agent.Series
	for _, name := range names {
		_, what, of, ok := parseSeriesName(name)
		if !ok {
			continue
		}
		points, err := r.points(ctx, tier, name, from)
		if err != nil {
			return nil, err
		}
		if len(points) > 0 {
			all = append(all, agent.Series{Name: what, Unit: units[what], Of: of, Step: tier.Step, Points: points})
		}
	}
	slices.SortStableFunc(all, func(a, b agent.Series) int { return cmp.Compare(min(len(a.Of), 1), min(len(b.Of), 1)) })
	return all, nil
}

// One returns the points of one series.
func (r *Recorder) One(ctx context.Context, key, what, of string, now time.Time, since time.Duration) ([]agent.SeriesPoint, error) {
	return r.points(ctx, tierFor(since), seriesName(key, what, of), now.Add(-since))
}

// points are those on the disk and that of the step which is not over.
func (r *Recorder) points(ctx context.Context, tier store.Tier, name string, from time.Time) ([]agent.SeriesPoint, error) {
	points, err := r.store.Range(ctx, tier, name, from)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.tiers {
		if s, ok := b.sums[name]; ok && b.tier == tier && (len(points) == 0 || b.at.After(points[len(points)-1].Time)) {
			points = append(points, agent.SeriesPoint{Time: b.at, Min: s.low, Mean: s.total / float64(s.n), Max: s.high})
		}
	}
	return points, nil
}

// History is the recent memory of containers, for detectors that begin anew.
func (r *Recorder) History(ctx context.Context, now time.Time, since time.Duration) (map[string][]agent.SeriesPoint, error) {
	names, err := r.store.Names(ctx, "", now.Add(-since))
	if err != nil {
		return nil, err
	}
	history := map[string][]agent.SeriesPoint{}
	for _, name := range names {
		if _, what, _, ok := parseSeriesName(name); !ok || what != seriesRSS {
			continue
		}
		if history[name], err = r.store.Range(ctx, store.Minutes, name, now.Add(-since)); err != nil {
			return nil, err
		}
	}
	return history, nil
}
