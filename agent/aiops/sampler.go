package aiops

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

const (
	interval  = 15 * time.Second // between samples
	keep      = 2 * time.Hour    // of points for charts
	points    = int(keep / interval)
	staleness = time.Minute // a pod's figures that are older are not shown as "now"
	deadline  = 10 * time.Second
	wholeEach = 4 // samples: filesystems change slowly, and kubelets measure them once a minute
)

// Source takes one sample of everything. Whole asks for filesystems too.
type Source interface {
	Sample(ctx context.Context, whole bool) (Figures, error)
}

// SamplerConfig is what the sampler needs.
type SamplerConfig struct {
	Source   Source
	Log      *slog.Logger
	Interval time.Duration                                            // between samples; default 15 s
	Observe  func(ctx context.Context, at time.Time, figures Figures) // gets each sample; default nothing
	Now      func() time.Time                                         // default time.Now
}

// Sampler keeps the recent use of every app. It is safe for concurrent use.
type Sampler struct {
	cfg SamplerConfig

	mu   sync.Mutex // guards what follows
	apps map[appKey]*ring
	pods map[podKey]Sample
	away bool // the last sample failed; told once

	crew agent.Crew
}

type appKey struct {
	app string
	env agent.Environment
}

type podKey struct{ namespace, pod string }

// NewSampler checks the settings; Start begins sampling.
func NewSampler(cfg SamplerConfig) (*Sampler, error) {
	if cfg.Source == nil || cfg.Log == nil {
		return nil, errors.New("the sampler needs a source and a log")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Interval == 0 {
		cfg.Interval = interval
	}
	if cfg.Observe == nil {
		cfg.Observe = func(context.Context, time.Time, Figures) {}
	}
	return &Sampler{cfg: cfg, apps: map[appKey]*ring{}, pods: map[podKey]Sample{}}, nil
}

// Start samples in the background until Stop. Starting twice is fine.
func (s *Sampler) Start(context.Context) error {
	if s.crew.Start() {
		s.crew.Go(s.loop)
	}
	return nil
}

// Stop ends sampling. Stopping twice is fine.
func (s *Sampler) Stop(ctx context.Context) error { return s.crew.Stop(ctx, "the sampler") }

func (s *Sampler) loop(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		s.take(ctx, n%wholeEach == 0)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Usage returns what the pod takes now; SampledAt is zero when that is not known.
func (s *Sampler) Usage(namespace, pod string) agent.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := s.pods[podKey{namespace, pod}].Usage
	if s.cfg.Now().Sub(usage.SampledAt) > staleness {
		return agent.Usage{}
	}
	return usage
}

// Series returns the app's points of the time since, oldest first.
func (s *Sampler) Series(app string, env agent.Environment, since time.Duration) []agent.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.apps[appKey{app, env}]
	if !ok {
		return nil
	}
	return r.after(s.cfg.Now().Add(-since))
}

func (s *Sampler) take(ctx context.Context, whole bool) {
	asking, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	figures, err := s.cfg.Source.Sample(asking, whole)
	now := s.cfg.Now()
	if s.note(ctx, err) {
		s.mu.Lock()
		s.add(now, figures.Pods)
		s.mu.Unlock()
		s.cfg.Observe(ctx, now, figures)
	}
}

// note tells once that there are no samples, and whether there is one now.
func (s *Sampler) note(ctx context.Context, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if !s.away && !errors.Is(err, context.Canceled) {
			s.cfg.Log.WarnContext(ctx, "no samples: charts have a gap until the cluster answers", "error", err)
		}
		s.away = true
		return false
	}
	s.away = false
	return true
}

// add keeps the samples; mu is held.
func (s *Sampler) add(now time.Time, samples []Sample) {
	sums := map[appKey]agent.Point{}
	pods := make(map[podKey]Sample, len(samples))
	for i, sample := range samples {
		at := podKey{sample.Namespace, sample.Pod}
		sample.Usage.CPU = rate(s.pods[at], sample)
		samples[i].Usage.CPU = sample.Usage.CPU
		pods[at] = sample
		if sample.App == "" {
			continue
		}
		key := appKey{sample.App, sample.Environment}
		sum := sums[key]
		sum.CPU += sample.Usage.CPU
		sum.Memory += sample.Usage.Memory
		sums[key] = sum
	}
	s.pods = pods
	for key, sum := range sums {
		sum.Time = now
		if s.apps[key] == nil {
			s.apps[key] = &ring{}
		}
		s.apps[key].add(sum)
	}
	for key, r := range s.apps {
		if now.Sub(r.newest()) > keep {
			delete(s.apps, key)
		}
	}
}

// rate is the CPU used between two samples of a pod, in cores: what the
// kernel counted, divided by the time. Without an earlier sample it is the
// kubelet's own estimate; with one that is no older, what it was.
func rate(before, now Sample) float64 {
	took := now.SpentAt.Sub(before.SpentAt)
	switch {
	case before.UID != now.UID || before.SpentAt.IsZero() || now.SpentAt.IsZero() || took < 0 || took > staleness || now.Spent < before.Spent:
		return now.Usage.CPU
	case took < time.Second:
		return before.Usage.CPU
	}
	return (now.Spent - before.Spent).Seconds() / took.Seconds()
}
