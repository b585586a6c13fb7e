package aiops

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/aiops/detect"
	"hks.dev/hks/agent/store"
)

// bench is a manager over a real store whose clock the test moves.
type bench struct {
	*Manager
	t     *testing.T
	store *store.Store
	apps  *fakeApps
	now   time.Time
}

type nothing struct{}

func (nothing) Interface() kubernetes.Interface { return nil }

type oneWorkspace struct{}

func (oneWorkspace) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: "ws", Status: agent.WorkspaceReady}, nil
}

type fakeApps struct {
	releases []agent.Release
	lines    []string
}

func (f *fakeApps) List(context.Context) ([]agent.App, error) { return nil, nil }

func (f *fakeApps) Releases(context.Context, string, agent.Environment) ([]agent.Release, error) {
	return f.releases, nil
}

func (f *fakeApps) Logs(context.Context, string, agent.Environment, agent.LogQuery) iter.Seq2[agent.LogLine, error] {
	return func(yield func(agent.LogLine, error) bool) {
		for n, text := range f.lines {
			if !yield(agent.LogLine{Instance: "web-1", Time: time.Unix(int64(n), 0), Text: text}, nil) {
				return
			}
		}
	}
}

func (f *fakeApps) Tail(context.Context, string, agent.Environment, string, bool, int) []string {
	return f.lines
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, apps: &fakeApps{}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	dir := t.TempDir()
	var err error
	if b.store, err = store.New(store.Config{Path: filepath.Join(dir, "hks.db"), Key: bytes.Repeat([]byte{1}, 32), Now: clock}); err != nil {
		t.Fatal(err)
	}
	if err := b.store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	series, err := store.NewSeries(store.SeriesConfig{Path: filepath.Join(dir, "series.db"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := series.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
		if err := series.Close(); err != nil {
			t.Error(err)
		}
	})
	recorder, err := NewRecorder(series, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.PutChannel(t.Context(), agent.Channel{Name: "ops", Kind: agent.ChannelWebhook, URL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	b.Manager, err = New(Config{
		Cluster: nothing{}, Workspace: oneWorkspace{}, Incidents: b.store, Silences: b.store, Apps: b.apps, Recorder: recorder, Params: detect.Default(), Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.began = b.now
	return b
}

// after moves the clock and says what is found then.
func (b *bench) after(d time.Duration, found ...finding) {
	b.t.Helper()
	b.now = b.now.Add(d)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.reconcile(b.t.Context(), b.now, "ws", found); err != nil {
		b.t.Fatal(err)
	}
}

// told lists the kinds of reports that were written, oldest first.
func (b *bench) told() []string {
	b.t.Helper()
	all, err := b.store.ReportDeliveries(b.t.Context(), 100)
	if err != nil {
		b.t.Fatal(err)
	}
	kinds := []string{}
	for _, d := range slices.Backward(all) {
		kinds = append(kinds, d.Kind)
	}
	return kinds
}

func (b *bench) wantTold(kinds ...string) {
	b.t.Helper()
	if got := b.told(); !slices.Equal(got, kinds) {
		b.t.Errorf("told %v, want %v", got, kinds)
	}
}

// incidents lists them, the newest first.
func (b *bench) incidents() []agent.Incident {
	b.t.Helper()
	all, err := b.List(b.t.Context(), 100, false)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func crash(app string) finding {
	return finding{
		detector: CrashLoop, severity: agent.SeverityCritical, workload: app + "-production",
		subject: agent.Subject{Kind: agent.SubjectApp, Name: app, Environment: agent.Production, Pod: app + "-1", Container: "app", Node: "n1"},
		title:   app + " ends again and again", summary: "It ends.", logs: app + "-1",
	}
}

func TestA71OneReportForEachIncidentAndOneForItsEnd(t *testing.T) {
	b := newBench(t)
	held := crash("web")
	held.hold = 3 * time.Minute
	b.after(0, held)
	if all := b.incidents(); len(all) != 0 {
		t.Fatalf("an incident before its time: %+v", all)
	}
	if pending, err := b.List(t.Context(), 10, true); err != nil || len(pending) != 1 || pending[0].Status != agent.IncidentPending {
		t.Errorf("pending %+v, %v", pending, err)
	}
	b.after(time.Minute, held)
	b.after(2*time.Minute, held)
	for range 20 { // it goes on
		b.after(15*time.Second, held)
	}
	b.wantTold(agent.ReportOpened)
	b.after(15 * time.Second)
	b.wantTold(agent.ReportOpened, agent.ReportResolved)
	all := b.incidents()
	if len(all) != 1 || all[0].Status != agent.IncidentResolved {
		t.Fatalf("incidents %+v", all)
	}
	shown, err := b.Get(t.Context(), all[0].ID)
	if err != nil || len(shown.Timeline) != 2 {
		t.Errorf("timeline %+v, %v", shown.Timeline, err)
	}
}

func TestA73WhatPassesByItselfIsNotTold(t *testing.T) {
	b := newBench(t)
	held := crash("web")
	held.hold = 3 * time.Minute
	for range 5 {
		b.after(time.Minute, held)
		b.after(time.Minute, held)
		b.after(time.Minute)
	}
	b.wantTold()
	if all := b.incidents(); len(all) != 0 {
		t.Errorf("incidents %+v", all)
	}
}

func TestA76TheReleaseJustBeforeIsNamed(t *testing.T) {
	b := newBench(t)
	b.apps.releases = []agent.Release{
		{Number: 12, Kind: "deploy", By: "owner", Status: agent.ReleaseSucceeded, CreatedAt: b.now.Add(-4 * time.Minute), FinishedAt: b.now.Add(-3 * time.Minute)},
		{Number: 11, Status: agent.ReleaseFailed, CreatedAt: b.now.Add(-time.Hour), FinishedAt: b.now.Add(-time.Hour)},
		{Number: 10, Status: agent.ReleaseSucceeded, CreatedAt: b.now.Add(-48 * time.Hour), FinishedAt: b.now.Add(-48 * time.Hour)},
	}
	b.apps.lines = []string{"connecting with password=hunter2-hunter2", "Authorization: Bearer abcdefgh12345678", "postgres://app:s3cr3t-pw@db:5432/x"}
	b.after(0, crash("web"))
	i := b.incidents()[0]
	if i.Change == nil || i.Change.Release != 12 || i.Change.Before != 10 {
		t.Fatalf("change %+v", i.Change)
	}
	if r := i.Remedies[0]; r.Command != "hks rollback web 10 --environment production" || r.Action == nil || r.Action.Release != 10 || !strings.Contains(r.Kubectl, "rollout undo deployment/web-production") {
		t.Errorf("first remedy %+v", r)
	}
	for _, line := range i.Logs {
		for _, secret := range []string{"hunter2", "abcdefgh", "s3cr3t"} {
			if strings.Contains(line, secret) {
				t.Errorf("a report holds a secret: %s", line)
			}
		}
	}
}

type explainer struct{}

func (explainer) Explain(_ context.Context, i agent.Incident) (string, error) {
	return "It ends because of " + i.Title, nil
}

func TestAnExplanationComesLaterAndIsKept(t *testing.T) {
	b := newBench(t)
	b.cfg.Explainer = explainer{}
	b.crew.Start()
	b.after(0, crash("web"))
	for b.incidents()[0].Explanation == "" && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := b.crew.Stop(t.Context(), "the explanation"); err != nil {
		t.Fatal(err)
	}
	b.after(time.Hour, crash("web"))
	if i := b.incidents()[0]; i.Explanation != "It ends because of web ends again and again" {
		t.Errorf("%+v", i)
	}
	b.wantTold(agent.ReportOpened, agent.ReportExplained)
}

func TestA75SilencedAcknowledgedResolvedByHand(t *testing.T) {
	b := newBench(t)
	if _, err := b.Silence(t.Context(), agent.Silence{}, 0, time.Hour, "owner"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("everything was silenced: %v", err)
	}
	if _, err := b.Silence(t.Context(), agent.Silence{Subject: "app web/production", Reason: "known"}, 0, time.Hour, "owner"); err != nil {
		t.Fatal(err)
	}
	b.after(0, crash("web"), crash("api"))
	b.wantTold(agent.ReportOpened) // of api
	b.after(2*time.Hour, crash("web"), crash("api"))
	b.wantTold(agent.ReportOpened, agent.ReportOpened) // its silence has ended
	all := b.incidents()
	web := all[slices.IndexFunc(all, func(i agent.Incident) bool { return i.Subject.Name == "web" })]
	if _, err := b.Ack(t.Context(), web.ID, "owner"); err != nil {
		t.Fatal(err)
	}
	b.after(3*time.Hour, crash("web"), crash("api"))
	b.wantTold(agent.ReportOpened, agent.ReportOpened, agent.ReportReminder) // of api only
	if _, err := b.Resolve(t.Context(), web.ID, "owner"); err != nil {
		t.Fatal(err)
	}
	before := len(b.told())
	b.after(time.Minute, crash("web"), crash("api"))
	b.after(time.Hour, crash("web"), crash("api"))
	if got := b.told(); len(got) != before {
		t.Errorf("what was resolved by hand was told again: %v", got[before:])
	}
	b.after(time.Minute, crash("api")) // it went away
	b.after(time.Hour, crash("web"), crash("api"))
	if got := b.told(); len(got) == before {
		t.Error("what went away and came back was not told")
	}
}

func TestA75AStormIsToldInOneDigest(t *testing.T) {
	b := newBench(t)
	var all []finding
	for n := range 20 {
		all = append(all, crash(fmt.Sprintf("app-%d", n)))
	}
	b.after(0, all...)
	b.after(time.Minute, all...)
	b.after(time.Minute, all...)
	kinds := b.told()
	if len(kinds) != stormMost+1 || kinds[stormMost] != agent.ReportDigest {
		t.Fatalf("told %v", kinds)
	}
	waiting, err := b.store.WaitingDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(waiting[stormMost].Report.Digest); got != 20-stormMost {
		t.Errorf("the digest has %d incidents", got)
	}
}

func TestA75ANodesTroubleExplainsThatOfItsPods(t *testing.T) {
	b := newBench(t)
	lost := finding{detector: NodeLost, severity: agent.SeverityCritical, subject: agent.Subject{Kind: agent.SubjectNode, Name: "n1", Node: "n1"}, title: "n1 is lost", summary: "n1 is lost."}
	b.after(0, lost, crash("web"))
	b.wantTold(agent.ReportOpened)
	all := b.incidents()
	web := all[slices.IndexFunc(all, func(i agent.Incident) bool { return i.Subject.Kind == agent.SubjectApp })]
	if web.Cause == 0 || web.Quiet == "" {
		t.Errorf("%+v", web)
	}
}

func TestA73WhatComesAndGoesIsToldAFewTimesOnly(t *testing.T) {
	b := newBench(t)
	for range 10 {
		b.after(time.Minute, crash("web"))
		b.after(time.Minute)
	}
	kinds := b.told()
	if n := len(kinds); n > 2*(flapsTold+1) || kinds[n-2] != agent.ReportFlapping && kinds[n-1] != agent.ReportFlapping {
		t.Errorf("told %v", kinds)
	}
	if all := b.incidents(); len(all) != 1 || all[0].Reopened != 9 {
		t.Errorf("%d incidents, came back %d times", len(all), all[0].Reopened)
	}
}

func TestA96IncidentsGoOnAfterARestart(t *testing.T) {
	b := newBench(t)
	b.after(0, crash("web"))
	again, err := New(b.Manager.cfg)
	if err != nil {
		t.Fatal(err)
	}
	open, err := b.store.OpenIncidents(t.Context())
	if err != nil || len(open) != 1 {
		t.Fatalf("%+v, %v", open, err)
	}
	again.began = b.now
	again.tracks[open[0].Fingerprint] = restored(open[0], b.now)
	b.Manager = again
	b.after(time.Minute) // the detectors have not seen it again yet
	b.after(time.Minute, crash("web"))
	b.wantTold(agent.ReportOpened)
	b.after(time.Minute)
	b.wantTold(agent.ReportOpened, agent.ReportResolved)
}

func TestA54AFailedCronRunIsAnIncidentUntilTheNextSucceeds(t *testing.T) {
	b := newBench(t)
	o := Outcome{Detector: CronFailed, Subject: agent.Subject{Kind: agent.SubjectCron, Name: "nightly"}, Failed: true, Title: "nightly failed", Summary: "It failed."}
	b.Ended(t.Context(), o)
	b.Ended(t.Context(), o)
	b.after(time.Hour) // nobody finds it again at each look, and it goes on
	b.wantTold(agent.ReportOpened)
	o.Failed = false
	b.Ended(t.Context(), o)
	b.wantTold(agent.ReportOpened, agent.ReportResolved)

	o.Failed = true
	b.Ended(t.Context(), o)
	b.cfg.Exists = func(_ context.Context, s agent.Subject) (bool, error) { return s.Name != "nightly", nil }
	b.after(time.Minute)
	b.wantTold(agent.ReportOpened, agent.ReportResolved, agent.ReportReopened, agent.ReportResolved)
}
