package pipeline

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// world is GitHub, the builder and the app in one: a build takes a minute.
type world struct {
	mu       sync.Mutex // guards what follows
	head     string
	statuses []string
	builds   map[int64]*agent.Build
	begun    map[int64]time.Time
	fails    bool
	hook     string // the webhook's secret
	looks    int

	requests    []agent.BuildRequest
	files       []string // that differ between any two commits
	pulls       []agent.Pull
	tags        map[string]string
	tests       []agent.TestCase
	deployments []string
	rollout     agent.ReleaseStatus // of every release; default succeeded
	released    []agent.Release     // made again
	promoted    []string
	deleted     []string
	serving     int           // release of staging
	slow        time.Duration // that a build takes more
}

func (w *world) Changed(context.Context, string, string, string) ([]string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files, false, nil
}

func (w *world) Pulls(context.Context, string) ([]agent.Pull, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.pulls), true, nil
}

func (w *world) Tags(context.Context, string) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.tags), nil
}

func (w *world) Permissions(context.Context, string) ([]agent.GitPermission, error) { return nil, nil }

func (w *world) AddDeployment(_ context.Context, _, sha, environment, _ string) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deployments = append(w.deployments, sha[:1]+" "+environment)
	return int64(len(w.deployments)), nil
}

func (w *world) SetDeployment(_ context.Context, _ string, _ int64, state, _ string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deployments = append(w.deployments, state)
	return nil
}

func (w *world) Tests(context.Context, int64) ([]agent.TestCase, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tests), nil
}

// deployTo is what the world has of the apps.
type deployTo struct{ *world }

func (w deployTo) Get(context.Context, string, agent.Environment) (agent.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return agent.App{Release: w.serving}, nil
}

func (w deployTo) Releases(context.Context, string, agent.Environment) ([]agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.released), nil
}

func (w deployTo) Again(_ context.Context, _ string, _ agent.Environment, number int, by string) (agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := agent.Release{Number: 100 + number, By: by}
	w.released = append(w.released, r)
	return r, nil
}

func (w deployTo) Promote(_ context.Context, app string, _, to agent.Environment, by string) (agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.promoted = append(w.promoted, fmt.Sprintf("%s to %s by %s", app, to, by))
	return agent.Release{Number: 1}, nil
}

func (w deployTo) Delete(_ context.Context, app string, _ agent.Environment, _ string) (agent.Deletion, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted = append(w.deleted, app)
	return agent.Deletion{}, nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) URL() string                           { return "https://github.example/" }
func (w *world) Login(context.Context) (string, error) { return "octo", nil }
func (w *world) Repositories(context.Context) ([]agent.GitRepository, error) {
	return []agent.GitRepository{{Name: "octo/shop", Branch: "main"}}, nil
}

func (w *world) Repository(_ context.Context, name string) (agent.GitRepository, error) {
	return agent.GitRepository{Name: name, Branch: "main"}, nil
}

func (w *world) Head(_ context.Context, _, _, known string) (agent.Commit, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return agent.Commit{SHA: w.head, Message: "a change"}, w.head != known, nil
}

func (w *world) AddHook(_ context.Context, _, _, secret string) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = secret
	return 7, nil
}

func (w *world) RemoveHook(context.Context, string, int64) error { return nil }

func (w *world) SetStatus(_ context.Context, _, sha, state, _, _ string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses = append(w.statuses, sha[:1]+" "+state)
	return nil
}

func (w *world) Clone(_ context.Context, _, sha, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "main.go"), []byte(sha), 0o600)
}

func (w *world) Submit(_ context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error) {
	if _, err := io.Copy(io.Discard, source); err != nil {
		return agent.Build{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, request)
	b := agent.Build{ID: int64(len(w.builds) + 1), App: app, Environment: env, Status: agent.RunRunning, By: by}
	w.builds[b.ID], w.begun[b.ID] = &b, time.Now()
	return b, nil
}

func (w *world) List(context.Context, string, agent.Environment) ([]agent.Build, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []agent.Build
	for _, b := range w.builds {
		list = append(list, *b)
	}
	return list, nil
}

func (w *world) Get(_ context.Context, id int64) (agent.Build, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.builds[id]
	if !b.Status.Done() && time.Since(w.begun[id]) >= time.Minute+w.slow {
		b.Status, b.Release = agent.RunSucceeded, int(id)
		if w.fails {
			b.Status, b.Failure = agent.RunFailed, &agent.Failure{Code: agent.CodeBuildFailed, Message: "1 test failed", Fix: "mend it"}
		}
	}
	return *b, nil
}

func (w *world) Cancel(_ context.Context, id int64, _ string) (agent.Build, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.builds[id].Status = agent.RunCancelled
	return *w.builds[id], nil
}

func (w deployTo) Release(_ context.Context, _ string, _ agent.Environment, number int) (agent.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := w.rollout
	if status == "" || number > 100 {
		status = agent.ReleaseSucceeded
	}
	return agent.Release{Number: number, Status: status}, nil
}

func (w *world) push(sha string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head = strings.Repeat(sha, 40)
}

// bench is a manager over a real database.
type bench struct {
	*Manager
	*world
	t     *testing.T
	store *store.Store
	dir   string
	ended []string
	news  []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), world: &world{builds: map[int64]*agent.Build{}, begun: map[int64]time.Time{}}}
	s, err := store.New(store.Config{Path: filepath.Join(b.dir, "hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b.store = s
	b.push("a")
	b.restart()
	t.Cleanup(b.halt)
	if _, err := b.Connect(t.Context(), agent.GitHubConnect{Token: "t", HookURL: "https://hks.example:8443"}, "owner"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), agent.Pipeline{Name: "shop", Repository: "octo/shop"}, "owner"); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) restart() {
	b.t.Helper()
	var err error
	b.Manager, err = New(Config{
		Store: b.store, Dial: func(agent.GitHub, string) (Host, error) { return b.world, nil }, Builds: b.world, Apps: deployTo{b.world},
		Notice: func(_ context.Context, text string) { b.news = append(b.news, text) },
		Dir:    filepath.Join(b.dir, "checkouts"),
		Ended: func(_ context.Context, run agent.Run, before *agent.Run) {
			words := string(run.Status)
			if before != nil {
				words = string(before.Status) + " then " + words
			}
			b.ended = append(b.ended, words)
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) halt() {
	if err := b.Stop(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// history are the runs so far, the oldest first.
func (b *bench) history() string {
	b.t.Helper()
	runs, err := b.Runs(b.t.Context(), "shop")
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	for i := range runs {
		r := runs[len(runs)-1-i]
		words = append(words, fmt.Sprintf("%s %s %s", r.Commit.SHA[:1], r.Trigger, r.Status))
	}
	return strings.Join(words, ", ")
}

// deliver sends a webhook as GitHub would.
func (b *bench) deliver(id, secret, ref string) string {
	b.t.Helper()
	return b.deliverEvent("push", id, secret, ref)
}

func (b *bench) deliverEvent(event, id, secret, ref string) string {
	b.t.Helper()
	body := fmt.Sprintf(`{"ref":%q,"repository":{"full_name":"octo/shop"}}`, ref)
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/", strings.NewReader(body))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("Content-Type", "application/json")
	d, err := b.Receive(b.t.Context(), "shop", r)
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Outcome
}

func (b *bench) expect(want string) {
	b.t.Helper()
	if got := b.history(); got != want {
		b.t.Errorf("the runs: %s; want %s", got, want)
	}
}

func TestA30FirstRunBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(2 * time.Minute)
		b.expect("a manual succeeded")
		if got := strings.Join(b.statuses, ", "); got != "a pending, a success" {
			t.Errorf("told GitHub: %s", got)
		}
	})
}

func TestA37PollAndWebhookMakeOneRunOfOnePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(2*time.Minute + 10*time.Second) // between two looks
		b.push("b")
		if got := b.deliver("1", b.world.hook, "refs/heads/main"); got != "accepted" {
			t.Errorf("the webhook was %s", got)
		}
		if got := b.deliver("1", b.world.hook, "refs/heads/main"); got != "duplicate" {
			t.Errorf("once more it was %s", got)
		}
		time.Sleep(5 * time.Minute) // ten looks at the branch
		b.expect("a manual succeeded, b webhook succeeded")
		b.push("c") // no webhook comes
		time.Sleep(pollEvery + 2*time.Minute)
		b.expect("a manual succeeded, b webhook succeeded, c poll succeeded")
	})
}

func TestA36WebhooksThatStartNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.push("b")
		for id, tt := range map[string]struct{ secret, ref, want string }{
			"forged": {"guess", "refs/heads/main", "forged"}, "branch": {b.world.hook, "refs/heads/other", "ignored"}, "tag": {b.world.hook, "refs/tags/main", "ignored"},
		} {
			if got := b.deliver(id, tt.secret, tt.ref); got != tt.want {
				t.Errorf("%s was %s", id, got)
			}
		}
		time.Sleep(time.Second)
		b.expect("a manual running")
		if all, err := b.Deliveries(t.Context(), "shop"); err != nil || len(all) != 3 {
			t.Errorf("the ledger: %+v %v", all, err)
		}
	})
}

func TestNewerPushTakesThePlaceOfOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, sha := range []string{"b", "c", "d"} {
			time.Sleep(time.Second)
			b.push(sha)
			b.deliver(sha, b.world.hook, "refs/heads/main")
		}
		time.Sleep(5 * time.Minute)
		b.expect("a manual succeeded, b webhook cancelled, c webhook cancelled, d webhook succeeded")
	})
}

func TestA32FailureIsToldAndSoIsTheMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fails = true
		time.Sleep(2 * time.Minute)
		b.expect("a manual failed")
		b.fails = false
		runs, err := b.Runs(t.Context(), "shop")
		if err != nil || runs[0].Failure == nil || runs[0].Failure.Message != "1 test failed" {
			t.Fatalf("%+v %v", runs, err)
		}
		if _, err := b.Rerun(t.Context(), runs[0].ID, false, "owner"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		b.expect("a manual failed, a rerun succeeded")
		if got := strings.Join(b.ended, ", "); got != "failed, failed then succeeded" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestA38RunGoesOnAfterARestartWithTheBuildItBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(20 * time.Second)
		b.halt()
		b.expect("a manual running")
		b.restart()
		time.Sleep(2 * time.Minute)
		b.expect("a manual succeeded")
		if len(b.builds) != 1 {
			t.Errorf("%d builds were begun", len(b.builds))
		}
	})
}

func TestA34CancelStopsTheBuildToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		time.Sleep(10 * time.Second)
		if r, err := b.Manager.Cancel(t.Context(), 1, "owner"); err != nil || r.Status != agent.RunCancelled {
			t.Errorf("%+v %v", r, err)
		}
		if b.builds[1].Status != agent.RunCancelled {
			t.Errorf("the build is %s", b.builds[1].Status)
		}
		if _, err := b.Manager.Cancel(t.Context(), 1, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("cancelled twice: %v", err)
		}
		if err := b.Delete(t.Context(), "shop", "owner"); err != nil {
			t.Error(err)
		}
		if got, err := b.Manager.List(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("%+v %v", got, err)
		}
	})
}
