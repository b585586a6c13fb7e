package api

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func newTestHub() (*Hub, *clock) {
	c := newClock()
	return NewHub(HubConfig{Log: slog.New(slog.DiscardHandler), Now: c.now}), c
}

func ids(events []agent.Event) []int64 {
	var list []int64
	for _, event := range events {
		list = append(list, event.ID)
	}
	return list
}

func TestAListenerGetsWhatItMissed(t *testing.T) {
	h, _ := newTestHub()
	for range 5 {
		h.Publish("app", "web/staging", agent.App{Name: "web"})
	}
	l := h.listen(h.last - 2)
	if got := ids(l.missed); l.reset || len(got) != 2 || got[1] != h.last || got[0] != h.last-1 {
		t.Errorf("missed %v, reset %v", got, l.reset)
	}
	h.Publish("app", "web/staging", nil)
	if event := <-l.queue; event.ID != h.last || event.Object != nil {
		t.Errorf("then %+v", event)
	}
}

func TestAGapMeansReset(t *testing.T) {
	h, c := newTestHub()
	begin := h.last
	for range hubRing + 10 {
		h.Publish("app", "x", nil)
	}
	for name, tt := range map[string]struct {
		after int64
		reset bool
		count int
	}{
		"from now":            {0, false, 0},
		"seen everything":     {h.last, false, 0},
		"all that is kept":    {h.last - hubRing, false, hubRing},
		"one too far":         {h.last - hubRing - 1, true, 0},
		"the very beginning":  {begin, true, 0},
		"of another life":     {h.last + 5, true, 0},
		"of the life before":  {begin - 1000, true, 0},
		"just before the end": {h.last - 1, false, 1},
	} {
		l := h.listen(tt.after)
		if l.reset != tt.reset || len(l.missed) != tt.count || l.from != h.last {
			t.Errorf("%s: reset %v, %d missed", name, l.reset, len(l.missed))
		}
		h.leave(l)
	}
	c.forward(time.Hour)
	if later := NewHub(HubConfig{Now: c.now}); later.last <= h.last {
		t.Error("after a restart the ids go back")
	}
}

func TestASlowListenerIsDropped(t *testing.T) {
	h, _ := newTestHub()
	slow, other := h.listen(0), h.listen(0)
	for range hubQueue + 1 {
		h.Publish("app", "x", nil)
		<-other.queue
	}
	got := 0
	for range slow.queue { // ends, since it was closed
		got++
	}
	if got != hubQueue || len(h.listeners) != 1 {
		t.Errorf("%d events, %d listeners", got, len(h.listeners))
	}
	h.leave(slow) // again is fine
	h.leave(other)
	if len(h.listeners) != 0 {
		t.Error("a listener is left")
	}
}

func TestA21EventsHideEnvironmentValues(t *testing.T) {
	h, _ := newTestHub()
	l := h.listen(0)
	release := someRelease(1)
	h.Publish("release", "web/staging/1", &release)
	release.Status = agent.ReleaseFailed // later changes don't reach the event
	text, err := json.Marshal(<-l.queue)
	if err != nil || strings.Contains(string(text), canary) || strings.Contains(string(text), "failed") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestTheJournalKeepsAndTells(t *testing.T) {
	a := newAppliance(t)
	l := a.cfg.Hub.listen(0)
	a.cfg.Journal.Record(t.Context(), agent.Activity{Level: "info", Subject: "web/staging", Message: "deployed", By: "owner"})
	if event := <-l.queue; event.Kind != "activity" || event.Subject != "web/staging" {
		t.Errorf("the event is %+v", event)
	}
	cookie := a.setUp()
	list := decodeAs[[]agent.Activity](t, a.want(200, request{path: "/api/activity", cookie: cookie}))
	if len(list) < 2 || list[len(list)-1].Message != "deployed" || !list[0].Time.Equal(a.clock.now()) {
		t.Errorf("activities: %+v", list)
	}
}
