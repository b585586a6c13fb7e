package aiops

import (
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"hks.dev/hks/agent"
)

type countedKills map[string]int64

func (k countedKills) Of([]string) (map[string]int64, error) { return k, nil }

func TestA74KillOfOneProcessOfSeveral(t *testing.T) {
	kernel := countedKills{}
	m := &Manager{cfg: Config{Kills: kernel, Log: slog.New(slog.DiscardHandler)}, began: noon.Add(-10 * time.Minute)}
	older := pod(func(p *corev1.Pod, _ *corev1.ContainerStatus) { p.UID = "older" })
	newer := pod(func(p *corev1.Pod, _ *corev1.ContainerStatus) {
		p.UID, p.Name, p.CreationTimestamp = types.UID("newer"), "web-production-7c9d-aaaaa", ago(5*time.Minute)
	})
	look := func(at time.Duration, want ...string) {
		t.Helper()
		s := snapshot{now: noon.Add(at), pods: []*corev1.Pod{older, newer}, scale: func(d time.Duration) time.Duration { return d }}
		m.lookAtKills(t.Context(), &s)
		var got []string
		for _, f := range killRule(&s) {
			got = append(got, f.subject.Pod+" "+f.evidence[1].Value)
		}
		if len(got) != len(want) {
			t.Fatalf("after %s: %v, want %v", at, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("after %s: %s, want %s", at, got[i], want[i])
			}
		}
	}
	kernel["older"], kernel["newer"] = 4, 0
	look(0) // what was before the assistant began is no news
	kernel["older"], kernel["newer"] = 6, 1
	look(time.Minute, older.Name+" 2", newer.Name+" 1")
	look(30*time.Minute, older.Name+" 2", newer.Name+" 1")
	older.Status.ContainerStatuses[0].LastTerminationState.Terminated = ended("OOMKilled", 137, -time.Minute)
	look(31*time.Minute, newer.Name+" 1") // its own end says all
	kernel["older"], kernel["newer"] = 0, 1
	look(62 * time.Minute)
}

func TestA70ChartMarksTheLastRestart(t *testing.T) {
	b := newBench(t)
	web := agent.Subject{Kind: agent.SubjectApp, Name: "web", Environment: agent.Production, Pod: "web-production-7c9d-x2k4q", Container: "app"}
	for i := range 40 {
		b.cfg.Recorder.Figures(t.Context(), b.now, Figures{Pods: []Sample{{Pod: web.Pod, Subject: web, Containers: []ContainerFigures{{Name: "app", RSS: int64(i) << 20}}}}})
		b.now = b.now.Add(15 * time.Second)
	}
	began := b.now.Add(-4 * time.Minute)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.feedEvents(&snapshot{now: b.now, pods: []*corev1.Pod{pod(func(_ *corev1.Pod, c *corev1.ContainerStatus) {
		c.RestartCount, c.State.Running.StartedAt = 2, metav1.NewTime(began)
	})}})
	c := b.chart(t.Context(), agent.Incident{Detector: OOMKilled, Subject: web})
	if c == nil || len(c.Marks) != 1 || c.Marks[0].Text != "restart" || !c.Marks[0].At.Equal(began) {
		t.Errorf("the chart: %+v", c)
	}
}
