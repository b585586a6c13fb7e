package aiops

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
)

// line is a channel whose behaviour a test sets.
type line struct {
	mu   sync.Mutex // guards what follows
	err  error
	sent []agent.Message
	at   []time.Time
}

func (l *line) Check(agent.Channel) error { return nil }

func (l *line) Send(_ context.Context, _ agent.Channel, m agent.Message) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, time.Now())
	if l.err != nil {
		return "", l.err
	}
	l.sent = append(l.sent, m)
	return "ref-1", nil
}

func (l *line) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *line) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, m := range l.sent {
		all = append(all, m.Report.Text)
	}
	return all
}

func (l *line) tries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.at)
}

func TestA72ReportsWaitOutAnHourWithoutTheChannel(t *testing.T) {
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		l := &line{err: &agent.SendError{Cause: errors.New("connection refused")}}
		r, err := NewReporter(ReporterConfig{Store: b.store, Senders: map[string]Sender{agent.ChannelWebhook: l}, Now: func() time.Time { return b.now.Add(time.Since(start())) }})
		if err != nil {
			t.Fatal(err)
		}
		incident := agent.Incident{ID: 7}
		for _, text := range []string{"one", "two", "three"} {
			if err := b.store.AddReport(t.Context(), agent.Report{Kind: agent.ReportOpened, Text: text, Incident: &incident}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := l.tries(); n < 5 || n > 60 {
			t.Errorf("%d tries in an hour", n)
		}
		channels, err := r.List(t.Context())
		if err != nil || channels[0].Failure == "" || channels[0].Waiting != 3 || channels[0].URL != agent.HiddenValue {
			t.Errorf("the channel shows %+v, %v", channels, err)
		}
		l.set(nil)
		time.Sleep(30 * time.Minute)
		if got := l.texts(); len(got) != 3 || got[0] != "one" || got[1] != "two" || got[2] != "three" {
			t.Errorf("sent %v", got)
		}
		if l.sent[0].Ref != "" || l.sent[1].Ref != "ref-1" {
			t.Errorf("refs %q, %q", l.sent[0].Ref, l.sent[1].Ref)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestA72TheChannelsOwnWaitIsKept(t *testing.T) {
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		l := &line{err: &agent.SendError{After: 7 * time.Minute, Cause: errors.New("too many")}}
		r, err := NewReporter(ReporterConfig{Store: b.store, Senders: map[string]Sender{agent.ChannelWebhook: l}, Now: func() time.Time { return b.now.Add(time.Since(start())) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.AddReport(t.Context(), agent.Report{Kind: agent.ReportTest, Text: "one"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		if n := l.tries(); n != 1 {
			t.Errorf("%d tries before the time that was asked for", n)
		}
		l.set(nil)
		time.Sleep(2 * time.Minute)
		if got := l.texts(); len(got) != 1 {
			t.Errorf("sent %v", got)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestA72WhatIsRefusedForGoodIsShownAndNotInTheWay(t *testing.T) {
	b := newBench(t)
	synctest.Test(t, func(t *testing.T) {
		l := &line{err: &agent.SendError{Final: true, Cause: errors.New("invalid_auth")}}
		r, err := NewReporter(ReporterConfig{Store: b.store, Senders: map[string]Sender{agent.ChannelWebhook: l}, Now: func() time.Time { return b.now.Add(time.Since(start())) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.store.AddReport(t.Context(), agent.Report{Kind: agent.ReportTest, Text: "one"}); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := l.tries(); n != 1 {
			t.Errorf("%d tries", n)
		}
		reports, err := r.Reports(t.Context(), 10)
		if err != nil || len(reports) != 1 || reports[0].State != agent.DeliveryFailed || reports[0].Failure != "invalid_auth" {
			t.Errorf("%+v, %v", reports, err)
		}
		l.set(nil)
		if n, err := r.Retry(t.Context(), ""); err != nil || n != 1 {
			t.Errorf("%d tried again, %v", n, err)
		}
		time.Sleep(time.Minute)
		if got := l.texts(); len(got) != 1 {
			t.Errorf("sent %v", got)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// start is when a bubble's clock begins.
func start() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
