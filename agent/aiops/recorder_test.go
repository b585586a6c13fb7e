package aiops

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

func TestA16FiguresComeBackByMinutesAndFiveMinutes(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	series, err := store.NewSeries(store.SeriesConfig{Path: filepath.Join(t.TempDir(), "series.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := series.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := NewRecorder(series, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := agent.Subject{Kind: agent.SubjectApp, Name: "web", Environment: agent.Production}
	begin := now
	for i := range 4*20 + 2 { // twenty minutes and a half
		r.Figures(t.Context(), now, Figures{Pods: []Sample{
			{Pod: "a", Subject: web, Usage: agent.Usage{CPU: 0.5, Memory: int64(100 + i%4)}, Containers: []ContainerFigures{{Name: "app", RSS: int64(1000 * i)}}},
			{Pod: "b", Subject: web, Usage: agent.Usage{CPU: 0.25, Memory: 100}},
			{Pod: "pool", Subject: agent.Subject{Kind: agent.SubjectFunction}, Usage: agent.Usage{Memory: 1}},
		}})
		now = now.Add(15 * time.Second)
	}
	memory, err := r.One(t.Context(), "web/production", seriesMemory, "", now, time.Hour)
	if err != nil || len(memory) != 21 { // with the minute that is not over
		t.Fatalf("%d minutes, %v", len(memory), err)
	}
	if p := memory[3]; p.Time != begin.Add(3*time.Minute) || p.Min < 199 || p.Min > 201 || p.Max < 202 || p.Max > 204 {
		t.Errorf("a minute is %+v", p)
	}
	if five, err := r.One(t.Context(), "web/production", seriesMemory, "", now, 10*24*time.Hour); err != nil || len(five) != 5 {
		t.Errorf("%d times five minutes, %v", len(five), err)
	}
	all, err := r.Series(t.Context(), "web/production", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name+" "+s.Of+" "+s.Unit)
	}
	if len(all) != 7 || all[0].Of != "" || all[6].Of == "" {
		t.Errorf("series %q", names)
	}
	history, err := r.History(t.Context(), now, time.Hour)
	if err != nil || len(history) != 1 || len(history["web/production#rss#a/app"]) < 20 {
		t.Errorf("history %v, %v", history, err)
	}
	r.Close(t.Context())
	if err := series.Close(); err != nil {
		t.Error(err)
	}
}
