package aiops

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"hks.dev/hks/agent"
)

type source struct {
	mu      sync.Mutex // guards what follows
	samples []Sample
	err     error
}

// set changes what the next samples are.
func (s *source) set(err error, samples ...Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples, s.err = samples, err
}

func (s *source) Sample(context.Context, bool) (Figures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := make([]Sample, len(s.samples))
	for i, sample := range s.samples {
		sample.Usage.SampledAt = time.Now()
		now[i] = sample
	}
	return Figures{Pods: now}, s.err
}

func of(pod string, cpu float64, memory int64) Sample {
	return Sample{Namespace: "ws", Pod: pod, App: "web", Environment: agent.Staging, Usage: agent.Usage{CPU: cpu, Memory: memory}}
}

func TestA16SamplerSumsInstancesAndForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{samples: []Sample{of("a", 0.5, 100), of("b", 0.25, 50)}}
		s, err := NewSampler(SamplerConfig{Source: src, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if got := s.Series("web", agent.Staging, time.Hour); len(got) != 1 || got[0].CPU != 0.75 || got[0].Memory != 150 {
			t.Errorf("series %+v", got)
		}
		if got := s.Usage("ws", "a"); got.Memory != 100 {
			t.Errorf("usage %+v", got)
		}

		src.set(errors.New("the cluster is away"))
		time.Sleep(5 * interval)
		synctest.Wait()
		if got := s.Usage("ws", "a"); !got.SampledAt.IsZero() {
			t.Errorf("old figures are shown as of now: %+v", got)
		}
		if got := s.Series("web", agent.Staging, time.Hour); len(got) != 1 {
			t.Errorf("a gap made points: %+v", got)
		}

		src.set(nil, of("a", 0.5, 100), of("b", 0.25, 50))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := s.Series("web", agent.Staging, 4*time.Hour); len(got) != points {
			t.Errorf("%d points kept, want %d", len(got), points)
		} else if !got[0].Time.Before(got[len(got)-1].Time) {
			t.Error("points are not in the order of time")
		}
		if got := s.Series("web", agent.Staging, time.Minute); len(got) != 4 {
			t.Errorf("%d points of the last minute, want 4", len(got))
		}

		src.set(nil)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := s.Series("web", agent.Staging, 4*time.Hour); len(got) != 0 {
			t.Errorf("a deleted app keeps %d points", len(got))
		}
	})
}

func TestReadTakesOnlyKnownPods(t *testing.T) {
	at := metav1.NewTime(time.Unix(1000, 0))
	nano, bytes := uint64(250_000_000), uint64(64<<20)
	figures := func(name, uid string) stats.PodStats {
		return stats.PodStats{
			PodRef: stats.PodReference{Name: name, Namespace: "ws", UID: uid},
			CPU:    &stats.CPUStats{Time: at, UsageNanoCores: &nano},
			Memory: &stats.MemoryStats{Time: at, WorkingSetBytes: &bytes},
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "ws", UID: "1", Labels: map[string]string{agent.LabelApp: "web", agent.LabelEnvironment: "staging"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi"),
		}}}}},
	}
	got := read(&stats.Summary{Pods: []stats.PodStats{figures("a", "1"), figures("a", "an earlier pod"), figures("foreign", "2")}},
		map[string]*corev1.Pod{"a": pod})
	want := agent.Usage{CPU: 0.25, Memory: 64 << 20, CPULimit: 0.5, MemoryLimit: 256 << 20, SampledAt: at.Time}
	if len(got) != 1 || got[0].Usage != want || got[0].App != "web" || got[0].Environment != agent.Staging {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// CPU is what the kernel counted between two samples.
func TestA16RateIsWhatTheKernelCounted(t *testing.T) {
	at := time.Unix(1000, 0)
	sample := func(uid string, after, spent time.Duration, estimate float64) Sample {
		return Sample{UID: uid, SpentAt: at.Add(after), Spent: spent, Usage: agent.Usage{CPU: estimate}}
	}
	tests := map[string]struct {
		before, now Sample
		want        float64
	}{
		"first sample":          {Sample{}, sample("a", 0, time.Minute, 0.4), 0.4},
		"half a core":           {sample("a", 0, time.Minute, 9), sample("a", 15*time.Second, time.Minute+7500*time.Millisecond, 9), 0.5},
		"another pod":           {sample("a", 0, time.Minute, 9), sample("b", 15*time.Second, time.Second, 0.3), 0.3},
		"container restarted":   {sample("a", 0, time.Minute, 9), sample("a", 15*time.Second, time.Second, 0.3), 0.3},
		"the kubelet's old one": {sample("a", 0, time.Minute, 0.7), sample("a", 0, time.Minute, 0.1), 0.7},
		"after a long gap":      {sample("a", 0, time.Minute, 9), sample("a", time.Hour, time.Hour, 0.2), 0.2},
	}
	for name, tt := range tests {
		if got := rate(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
