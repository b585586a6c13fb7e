package double

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// incidents is what an assistant could have found: a leak that goes on, a
// crash loop that is over, and something that is not sure yet.
type incidents struct {
	publish func(kind, subject string, object any)

	mu       sync.Mutex // guards what follows
	list     []agent.Incident
	pending  []agent.Incident
	silences []agent.Silence
	last     int64 // number of a silence
}

func newIncidents(seed bool, publish func(kind, subject string, object any)) *incidents {
	w := &incidents{publish: publish}
	if seed {
		now := time.Now().UTC().Truncate(time.Second)
		w.list = []agent.Incident{madeUpLeak(now), madeUpCrashLoop(now), madeUpKill(now)}
		w.pending = []agent.Incident{{
			Fingerprint: "app/mailer/staging|mailer-staging|main|latency", Detector: "latency", Severity: agent.SeverityWarning, Status: agent.IncidentPending,
			Subject: agent.Subject{Kind: agent.SubjectApp, Name: "mailer", Environment: agent.Staging}, Title: "mailer in staging answers slower than it does at this hour",
			Summary: "95 % of the answers took up to 840 ms in the last minute; usually it is 210 ms.", Evidence: []agent.Fact{}, Remedies: []agent.Remedy{},
			Since: now.Add(-90 * time.Second), UpdatedAt: now,
		}}
	}
	return w
}

func madeUpLeak(now time.Time) agent.Incident {
	since, opened := now.Add(-5*time.Hour), now.Add(-40*time.Minute)
	return agent.Incident{
		ID: 3, Fingerprint: "app/shop/staging|shop-staging-backend|main|memory-leak", Detector: "memory-leak", Severity: agent.SeverityWarning, Status: agent.IncidentFiring,
		Subject: agent.Subject{Kind: agent.SubjectApp, Name: "shop", Environment: agent.Staging, Component: "backend", Pod: "shop-staging-backend-6c9f4-x7k2p", Container: "main"},
		Title:   "shop in staging leaks memory: at its limit in about 2 h 10 min",
		Summary: "The memory of backend has grown without a pause since release 2 began to serve, by 54 MiB an hour; the kernel ends it at 512 MiB.",
		Evidence: []agent.Fact{
			{Name: "growth", Value: "54 MiB an hour", Why: "the lowest use of each five minutes rises too, so it is no garbage that is collected later"},
			{Name: "now", Value: "396 MiB of 512 MiB", Why: "at this pace it is ended in 2 h 10 min"},
			{Name: "trend", Value: "z 9.4, tau 0.93", Why: "a random walk reaches z 4 once in 30,000 windows"},
			{Name: "changed before", Value: "release 2, deploy by owner", Why: "it began to serve 4 min before"},
		},
		RuledOut: []string{"load: requests and CPU stayed the same", "warm-up: it began 4 hours after the start", "page cache: it is the program's own memory"},
		Change:   &agent.CauseChange{Release: 2, Before: 1, Why: "deploy", By: "owner", At: since.Add(-4 * time.Minute)},
		Remedies: []agent.Remedy{
			{Title: "Go back to release 1, which served before", Command: "hks rollback shop 1", Kubectl: "kubectl -n dev-workspace rollout undo deployment/shop-staging-backend", Action: &agent.RemedyAction{Kind: agent.RemedyRollback, App: "shop", Environment: agent.Staging, Release: 1}},
			{Title: "Restart it without losing a request: frees the memory at once; it grows again until the leak is mended", Command: "hks app restart shop", Kubectl: "kubectl -n dev-workspace rollout restart deployment/shop-staging-backend", Action: &agent.RemedyAction{Kind: agent.RemedyRestart, App: "shop", Environment: agent.Staging}},
			{Title: "Give it more memory, when it needs that much", Command: "hks deploy shop --memory 1024Mi --component backend", Kubectl: "kubectl -n dev-workspace set resources deployment/shop-staging-backend --limits=memory=1024Mi", Action: &agent.RemedyAction{Kind: agent.RemedyMemory, App: "shop", Environment: agent.Staging, Component: "backend", Memory: "1024Mi"}},
		},
		Logs:       []string{"GET /api/items 200 12 ms", "cache: 48211 entries", "GET /api/items 200 11 ms", "cache: 48230 entries"},
		Confidence: 0.93, TimeToLimit: 2*time.Hour + 10*time.Minute, Since: since, OpenedAt: opened, UpdatedAt: now.Add(-time.Minute),
		Timeline: []agent.IncidentNote{{At: opened, Text: "opened"}, {At: opened.Add(3 * time.Second), Text: "told team"}},
	}
}

func madeUpCrashLoop(now time.Time) agent.Incident {
	opened := now.Add(-12 * time.Minute)
	return agent.Incident{
		ID: 2, Fingerprint: "app/worker/staging|worker-staging|main|crash-loop", Detector: "crash-loop", Severity: agent.SeverityCritical, Status: agent.IncidentFiring,
		Subject: agent.Subject{Kind: agent.SubjectApp, Name: "worker", Environment: agent.Staging, Component: agent.DefaultComponent, Pod: "worker-staging-1", Container: "main"},
		Title:   "worker in staging ends again and again with exit code 1", Summary: "It has been started 6 times in 10 minutes and ended each time.",
		Evidence: []agent.Fact{{Name: "restarts", Value: "6 in 10 min", Why: "three are enough to say so"}, {Name: "exit code", Value: "1", Why: "the program ended itself; it was not ended"}},
		Remedies: []agent.Remedy{{Title: "See what it printed", Command: "hks logs worker --previous", Kubectl: "kubectl -n dev-workspace logs deployment/worker-staging --previous"}},
		Logs:     []string{"Error: connect ECONNREFUSED 10.42.0.7:5432", "    at TCPConnectWrap.afterConnect"},
		Since:    opened.Add(-time.Minute), OpenedAt: opened, UpdatedAt: opened.Add(2 * time.Minute),
		Timeline: []agent.IncidentNote{{At: opened, Text: "opened"}},
	}
}

func madeUpKill(now time.Time) agent.Incident {
	opened := now.Add(-26 * time.Hour)
	return agent.Incident{
		ID: 1, Fingerprint: "app/blog/staging|blog-staging|main|oom-killed", Detector: "oom-killed", Severity: agent.SeverityCritical, Status: agent.IncidentResolved,
		Subject: agent.Subject{Kind: agent.SubjectApp, Name: "blog", Environment: agent.Staging, Component: agent.DefaultComponent},
		Title:   "blog in staging was ended for its memory", Summary: "The kernel ended it at 256 MiB.",
		Evidence: []agent.Fact{{Name: "limit", Value: "256 MiB", Why: "its memory jumped past it within a minute"}},
		Remedies: []agent.Remedy{{Title: "Restart it without losing a request", Command: "hks app restart blog"}},
		Since:    opened, OpenedAt: opened, UpdatedAt: opened.Add(time.Hour), ResolvedAt: opened.Add(time.Hour), AckedBy: "owner", AckedAt: opened.Add(2 * time.Minute),
		Timeline: []agent.IncidentNote{{At: opened, Text: "opened"}, {At: opened.Add(2 * time.Minute), Text: "acknowledged", By: "owner"}, {At: opened.Add(time.Hour), Text: "resolved: it has not been seen for an hour"}},
	}
}

func (w *incidents) List(_ context.Context, limit int, pending bool) ([]agent.Incident, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []agent.Incident
	for _, i := range w.list[:min(limit, len(w.list))] {
		i.Timeline = nil
		list = append(list, i)
	}
	slices.SortStableFunc(list, func(a, b agent.Incident) int {
		if a.Open() == b.Open() {
			return 0
		}
		if a.Open() {
			return -1
		}
		return 1
	})
	if pending {
		list = append(slices.Clone(w.pending), list...)
	}
	return list, nil
}

func (w *incidents) Get(_ context.Context, id int64) (agent.Incident, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.find(id)
	if err != nil {
		return agent.Incident{}, err
	}
	return w.list[n], nil
}

// find is the place of an incident. The caller holds w.mu.
func (w *incidents) find(id int64) (int, error) {
	n := slices.IndexFunc(w.list, func(i agent.Incident) bool { return i.ID == id })
	if n < 0 {
		return 0, agent.Errorf(agent.CodeNotFound, "list them with: hks incidents", "there is no incident %d", id)
	}
	return n, nil
}

// change writes an incident that goes on, with a line of its timeline.
func (w *incidents) change(id int64, text, by string, with func(i *agent.Incident, now time.Time) error) (agent.Incident, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.find(id)
	if err != nil {
		return agent.Incident{}, err
	}
	i := w.list[n]
	if !i.Open() {
		return agent.Incident{}, agent.Errorf(agent.CodeConflict, "see what goes on with: hks incidents", "incident %d is over already", id)
	}
	now := time.Now().UTC()
	if err := with(&i, now); err != nil {
		return agent.Incident{}, err
	}
	i.UpdatedAt, i.Timeline = now, append(slices.Clone(i.Timeline), agent.IncidentNote{At: now, Text: text, By: by})
	w.list[n] = i
	w.publish("incident", strconv.FormatInt(id, 10), i)
	return i, nil
}

func (w *incidents) Ack(_ context.Context, id int64, by string) (agent.Incident, error) {
	return w.change(id, "acknowledged", by, func(i *agent.Incident, now time.Time) error {
		i.AckedAt, i.AckedBy = now, by
		return nil
	})
}

func (w *incidents) Resolve(_ context.Context, id int64, by string) (agent.Incident, error) {
	return w.change(id, "resolved: by hand", by, func(i *agent.Incident, now time.Time) error {
		i.Status, i.ResolvedAt = agent.IncidentResolved, now
		return nil
	})
}

func (w *incidents) Accept(_ context.Context, id int64, by string) (agent.Incident, error) {
	return w.change(id, "resolved: the owner says that this growth is meant", by, func(i *agent.Incident, now time.Time) error {
		if i.Detector != "memory-leak" {
			return agent.Errorf(agent.CodeConflict, fmt.Sprintf("silence it instead: hks incidents silence %d --for 24h", id), "incident %d is not about growing memory", id)
		}
		i.Status, i.ResolvedAt, i.Accepted = agent.IncidentResolved, now, true
		return nil
	})
}

func (w *incidents) Silences(context.Context) ([]agent.Silence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.silences), nil
}

func (w *incidents) Silence(ctx context.Context, s agent.Silence, incident int64, d time.Duration, by string) (agent.Silence, error) {
	if d <= 0 || d > 30*24*time.Hour {
		return agent.Silence{}, agent.Errorf(agent.CodeInvalid, "give a while such as 24h, up to 30 days", "%s is no length of a silence", d)
	}
	now := time.Now().UTC()
	s.By, s.CreatedAt, s.Until = by, now, now.Add(d)
	if incident > 0 {
		i, err := w.change(incident, "silenced", by, func(i *agent.Incident, _ time.Time) error {
			i.Quiet = "silenced until " + s.Until.Format("2006-01-02 15:04 UTC")
			return nil
		})
		if err != nil {
			return agent.Silence{}, err
		}
		s.Fingerprint = i.Fingerprint
	}
	if s.Fingerprint == "" && s.Subject == "" && s.Detector == "" {
		return agent.Silence{}, agent.Errorf(agent.CodeInvalid, "name an incident, or what it is about", "a silence of everything would hide all trouble")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	s.ID = w.last
	w.silences = append(w.silences, s)
	return s, nil
}

func (w *incidents) Unsilence(_ context.Context, id int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := slices.IndexFunc(w.silences, func(s agent.Silence) bool { return s.ID == id })
	if n < 0 {
		return agent.Errorf(agent.CodeNotFound, "list them with: hks incidents silences", "there is no silence %d", id)
	}
	w.silences = slices.Delete(w.silences, n, n+1)
	return nil
}

// Attention lists what goes on, and channels that take nothing.
func (w *incidents) Attention(_ context.Context, channels []agent.Channel) ([]agent.Attention, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []agent.Attention
	for _, i := range w.list {
		if i.Open() {
			list = append(list, agent.Attention{Severity: i.Severity, Subject: i.Subject.String(), Text: i.Title, Fix: i.Remedies[0].Command, Incident: i.ID, Since: i.Since})
		}
	}
	slices.SortStableFunc(list, func(a, b agent.Attention) int { return strings.Compare(a.Severity, b.Severity) }) // critical before warning
	for _, c := range channels {
		if c.Failure != "" {
			list = append(list, agent.Attention{Severity: agent.SeverityWarning, Subject: "channel " + c.Name, Since: c.LastSent,
				Text: fmt.Sprintf("reports do not arrive (%d wait): %s", c.Waiting, c.Failure), Fix: "hks notify test " + c.Name})
		}
	}
	return list, nil
}

// Series are waves, and the growth of what leaks.
func (w *incidents) Series(_ context.Context, s agent.Subject, since time.Duration) ([]agent.Series, error) {
	step := time.Minute
	if since > 2*time.Hour {
		step = 5 * time.Minute
	}
	end := time.Now().UTC().Truncate(step)
	kept := func(name, unit string, limit float64, value func(at time.Time) float64) agent.Series {
		series := agent.Series{Name: name, Unit: unit, Step: step, Limit: limit}
		for at := end.Add(-since); !at.After(end); at = at.Add(step) {
			v := value(at)
			series.Points = append(series.Points, agent.SeriesPoint{Time: at, Min: 0.96 * v, Mean: v, Max: 1.05 * v})
		}
		return series
	}
	wave := func(base, height float64, period time.Duration) func(time.Time) float64 {
		return func(at time.Time) float64 {
			return base + height*(1+math.Sin(2*math.Pi*float64(at.Unix())/period.Seconds()))
		}
	}
	all := []agent.Series{kept("cpu", "cores", 0, wave(0.08, 0.05, 40*time.Minute))}
	switch {
	case s.Kind == agent.SubjectNode:
		return append(all, kept("memory", "bytes", 8<<30, wave(2.6*(1<<30), 1<<28, 3*time.Hour)), kept("used", "bytes", 40<<30, wave(11*(1<<30), 1<<28, 24*time.Hour))), nil
	case s.Kind == agent.SubjectApp && s.Name == "shop" && s.Environment == agent.Staging:
		all = append(all, kept("memory", "bytes", 512<<20, func(at time.Time) float64 {
			hours := max(0, 5-time.Since(at).Hours())
			return (126+54*hours)*(1<<20) + wave(0, 3<<20, 7*time.Minute)(at)
		}))
	default:
		all = append(all, kept("memory", "bytes", 256<<20, wave(84<<20, 6<<20, 50*time.Minute)))
	}
	if s.Kind != agent.SubjectApp {
		return all, nil
	}
	return append(all, kept("requests", "per minute", 0, wave(40, 30, 2*time.Hour)), kept("errors", "per minute", 0, wave(0, 0.4, 3*time.Hour)), kept("p95", "ms", 0, wave(60, 25, time.Hour))), nil
}
