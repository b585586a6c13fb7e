package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/store"
)

const goodPassword = "a horse in the rain"

// canary is a secret that must not show up anywhere.
const canary = "canary-3f9a7c"

// clock is a time that tests move.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.Add(int64(d)) }

// appliance is a server with everything around it made up, except the store.
type appliance struct {
	*Server
	t          *testing.T
	clock      *clock
	store      *store.Store
	workspaces *fakeWorkspaces
	apps       *fakeApps
	commands   *fakeShells
	builds     *fakeBuilds
	images     *fakeImages
	domains    *fakeDomains
	market     *fakeMarket
	ready      atomic.Bool
	log        *safeBuffer
}

func newAppliance(t *testing.T) *appliance {
	t.Helper()
	return newApplianceWith(t, func(*Config) {})
}

// newApplianceWith has more parts.
func newApplianceWith(t *testing.T, change func(*Config)) *appliance {
	t.Helper()
	a := &appliance{t: t, clock: newClock(), workspaces: &fakeWorkspaces{}, apps: &fakeApps{}, commands: newFakeShells(), images: &fakeImages{}, builds: &fakeBuilds{}, market: &fakeMarket{}, domains: &fakeDomains{}, log: &safeBuffer{}}
	a.ready.Store(true)
	root := t.TempDir()
	var err error
	a.store, err = store.New(store.Config{Path: filepath.Join(root, "hks.db"), Key: bytes.Repeat([]byte{7}, 32), Now: a.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := a.config(root)
	change(&cfg)
	a.Server, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.auth.hasher = newHasher(argonCost{memory: 64, time: 1, threads: 1}) // fast
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(a.Stop(ctx), a.store.Close()); err != nil {
			t.Error(err)
		}
		a.work.Wait()
	})
	return a
}

func (a *appliance) config(root string) Config {
	settings := config.Default(root)
	settings.API.Listen = "127.0.0.1:0"
	settings.API.Hosts = []string{"hks.example.com"}
	log := slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	hub := NewHub(HubConfig{Log: log, Now: a.clock.now})
	return Config{
		Settings: settings, Version: "1.2.3", Identities: a.store, Journal: NewJournal(a.store, hub, log), Hub: hub,
		Workspaces: a.workspaces, Apps: a.apps, Shells: a.commands, Series: a.apps, Images: a.images, Builds: a.builds, Market: a.market, Pipelines: fakePipelines{}, Functions: fakeFunctions{},
		Domains: a.domains, Maintenance: a.apps, Plans: fakePlans{}, Volumes: fakeVolumes{}, Incidents: fakeIncidents{}, Silences: fakeIncidents{}, Insight: fakeIncidents{}, Channels: fakeChannels{}, Nodes: fakeNodes{}, Joins: fakeNodes{}, JoinFiles: fakeNodes{}, System: fakeSystem{}, RootCA: fakeSystem{},
		UI:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<title>hks</title>") }),
		Audit: a.store, Metrics: prometheus.NewRegistry(), Log: log, Now: a.clock.now, Ready: a.ready.Load,
	}
}

// request is one request in a test.
type request struct {
	method, path, body string
	cookie, bearer     string
	host, from         string
	header             map[string]string
	local              bool // over the unix socket
}

func (a *appliance) do(r request) *httptest.ResponseRecorder {
	a.t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req := httptest.NewRequestWithContext(a.t.Context(), r.method, r.path, strings.NewReader(r.body))
	req.Host = "localhost:8443"
	if r.host != "" {
		req.Host = r.host
	}
	req.RemoteAddr = "192.0.2.1:1234"
	if r.from != "" {
		req.RemoteAddr = r.from
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.cookie != "" {
		req.AddCookie(&http.Cookie{Name: sessionCookie, Value: r.cookie})
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	var handler http.Handler = a.engine
	if r.local {
		handler = markLocal(handler)
	}
	handler.ServeHTTP(w, req)
	return w
}

// want makes a request and checks its status.
func (a *appliance) want(status int, r request) *httptest.ResponseRecorder {
	a.t.Helper()
	w := a.do(r)
	if w.Code != status {
		a.t.Fatalf("%s %s: status %d, want %d: %s", r.method, r.path, w.Code, status, w.Body)
	}
	return w
}

// refuse makes a request and checks the error's status and code.
func (a *appliance) refuse(status int, code agent.Code, r request) problem {
	a.t.Helper()
	w := a.do(r)
	var body errorBody
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != status || body.Error.Code != code || body.Error.Message == "" {
		a.t.Errorf("%s %s: %d %s, want %d %s (%v)", r.method, r.path, w.Code, w.Body, status, code, err)
	}
	return body.Error
}

func decodeAs[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// link makes a one-time link and returns its token.
func (a *appliance) link() string {
	a.t.Helper()
	token, _, err := a.auth.newSetupLink(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

// setUp makes the owner and returns the first session's cookie.
func (a *appliance) setUp() string {
	a.t.Helper()
	w := a.want(http.StatusNoContent, request{method: "POST", path: "/api/setup", body: `{"token":"` + a.link() + `","password":"` + goodPassword + `"}`})
	return cookieOf(a.t, w)
}

func (a *appliance) login(r request) *httptest.ResponseRecorder {
	a.t.Helper()
	r.method, r.path, r.body = "POST", "/api/login", `{"password":"`+goodPassword+`"}`
	return a.do(r)
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	for _, cookie := range w.Result().Cookies() {
		if cookie.Name == sessionCookie {
			return cookie.Value
		}
	}
	t.Fatalf("no session cookie in %v", w.Header())
	return ""
}

// safeBuffer is a buffer for several writers.
type safeBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type fakeWorkspaces struct {
	mu      sync.Mutex // guards what follows
	current *agent.Workspace
	created []string
	fail    error
	hold    chan struct{} // Create waits for it when set
}

func (f *fakeWorkspaces) Current(context.Context) (agent.Workspace, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return agent.Workspace{}, &agent.Error{Code: agent.CodeNotFound, Message: "there is no workspace"}
	}
	return *f.current, nil
}

func (f *fakeWorkspaces) Create(ctx context.Context, name, by string) (agent.Workspace, error) {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return agent.Workspace{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, name+" by "+by)
	if f.fail != nil {
		return agent.Workspace{}, f.fail
	}
	if f.current != nil && f.current.Name != name {
		return agent.Workspace{}, &agent.Error{
			Code: agent.CodePlanLimit, Message: "the plan hobby allows 1 workspace", Details: map[string]any{"limit": 1},
		}
	}
	f.current = &agent.Workspace{Name: name, Status: agent.WorkspaceCreating}
	return *f.current, nil
}

func (f *fakeWorkspaces) Rename(_ context.Context, name, _ string) (agent.Workspace, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = &agent.Workspace{Name: name, Status: agent.WorkspaceRenaming}
	return *f.current, nil
}

func (f *fakeWorkspaces) Kubeconfig(context.Context) ([]byte, error) {
	return []byte("kind: Config\n"), nil
}

func (f *fakeWorkspaces) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.created...)
}

// fakeApps answers with one app whose specs hold the canary.
type fakeApps struct {
	mu    sync.Mutex // guards what follows
	err   error
	panic any
	calls []string
	query agent.LogQuery
	lines iter.Seq2[agent.LogLine, error]
}

func (f *fakeApps) call(words ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.Join(words, " "))
	if f.panic != nil {
		panic(f.panic)
	}
	return f.err
}

func (f *fakeApps) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return ""
	}
	return f.calls[len(f.calls)-1]
}

func someApp() agent.App {
	return agent.App{Name: "web", Environment: agent.Staging, Status: agent.AppRunning}
}

func someRelease(n int) agent.Release {
	return agent.Release{App: "web", Environment: agent.Staging, Number: n, Spec: agent.Spec{Components: []agent.Component{{Name: "app", Image: "web:1"}}, Env: map[string]string{"KEY": canary}}}
}

func (f *fakeApps) List(context.Context) ([]agent.App, error) {
	return []agent.App{someApp()}, f.call("list")
}

func (f *fakeApps) Get(_ context.Context, app string, env agent.Environment) (agent.App, error) {
	return someApp(), f.call("get", app, string(env))
}

func (f *fakeApps) Delete(_ context.Context, app string, env agent.Environment, by string) (agent.Deletion, error) {
	return agent.Deletion{Removed: []string{"Deployment/web-staging"}}, f.call("delete", app, string(env), by)
}

func (f *fakeApps) Deploy(_ context.Context, app string, env agent.Environment, d agent.Deploy, by string) (agent.Release, error) {
	return someRelease(1), f.call("deploy", app, string(env), imageOf(d), d.Env["KEY"], by)
}

// imageOf is the first image that a deploy names.
func imageOf(d agent.Deploy) string {
	for _, c := range d.Change {
		return c.Image
	}
	return ""
}

func (f *fakeApps) Releases(context.Context, string, agent.Environment) ([]agent.Release, error) {
	return []agent.Release{someRelease(2), someRelease(1)}, f.call("releases")
}

func (f *fakeApps) Release(_ context.Context, _ string, _ agent.Environment, n int) (agent.Release, error) {
	return someRelease(n), f.call("release")
}

func (f *fakeApps) Progress(_ context.Context, _ string, _ agent.Environment, n int) iter.Seq2[agent.Progress, error] {
	return func(yield func(agent.Progress, error) bool) {
		r := someRelease(n)
		_ = yield(agent.Progress{Step: "pull"}, nil) && yield(agent.Progress{Step: "done", Release: &r, Done: true}, nil)
	}
}

func (f *fakeApps) Rollback(_ context.Context, app string, _ agent.Environment, _ int, by string) (agent.Release, error) {
	return someRelease(3), f.call("rollback", app, by)
}

func (f *fakeApps) Move(_ context.Context, app string, env agent.Environment, to, by string) (agent.Release, error) {
	return agent.Release{App: app, Environment: env, Number: 1, Kind: "move", By: by, Spec: agent.Spec{Place: to}}, nil
}

func (f *fakeApps) PlanMove(_ context.Context, _ string, _ agent.Environment, to string) (agent.MovePlan, error) {
	return agent.MovePlan{From: "shared", To: to, Fits: true}, nil
}

func (f *fakeApps) Promote(_ context.Context, app string, from, to agent.Environment, by string) (agent.Release, error) {
	return someRelease(3), f.call("promote", app, string(from), string(to), by)
}

func (f *fakeApps) Diff(_ context.Context, app string, _ agent.Environment, d agent.Deploy) ([]agent.Change, error) {
	return []agent.Change{{Component: "app", Field: "image", From: "web:1", To: imageOf(d)}}, f.call("diff", app)
}

func (f *fakeApps) RestartApp(_ context.Context, app string, _ agent.Environment, by string) (agent.App, error) {
	return someApp(), f.call("restart", app, by)
}

func (f *fakeApps) StopApp(_ context.Context, app string, _ agent.Environment, by string) (agent.App, error) {
	return someApp(), f.call("stop", app, by)
}

func (f *fakeApps) StartApp(_ context.Context, app string, _ agent.Environment, by string) (agent.App, error) {
	return someApp(), f.call("start", app, by)
}

func (f *fakeApps) Scale(_ context.Context, app string, _ agent.Environment, _ string, to agent.Scale, by string) (agent.App, error) {
	return someApp(), f.call("scale", app, to.String(), by)
}

func (f *fakeApps) Logs(_ context.Context, _ string, _ agent.Environment, q agent.LogQuery) iter.Seq2[agent.LogLine, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.query = q
	if f.lines != nil {
		return f.lines
	}
	return func(yield func(agent.LogLine, error) bool) {
		yield(agent.LogLine{Instance: "web-1", Text: "hello"}, nil)
	}
}

func (f *fakeApps) Series(string, agent.Environment, time.Duration) []agent.Point { return nil }

type fakeImages struct {
	mu   sync.Mutex // guards what follows
	read int64
	wrap bool // Load wraps what breaks the reading
	hold chan struct{}
}

func (f *fakeImages) List(context.Context) ([]agent.Image, error) { return nil, nil }

func (f *fakeImages) Usage(context.Context) (agent.ImageUsage, error) {
	return agent.ImageUsage{UsedBytes: 1 << 30, BudgetBytes: 20 << 30}, nil
}

func (f *fakeImages) Prune(_ context.Context, dryRun bool, by string) (agent.ImagePrune, error) {
	return agent.ImagePrune{DryRun: dryRun, Removed: []agent.Image{{Name: "old:1 for " + by}}}, nil
}

func (f *fakeImages) Delete(_ context.Context, name, by string) (agent.ImagePrune, error) {
	if name == "web:1" {
		return agent.ImagePrune{}, &agent.Error{Code: agent.CodeConflict, Message: "web:1 is needed by release 1 of web/staging"}
	}
	return agent.ImagePrune{Removed: []agent.Image{{Name: name + " for " + by}}}, nil
}

func (f *fakeImages) Load(_ context.Context, tar io.Reader) ([]agent.Image, error) {
	if f.hold != nil {
		<-f.hold
	}
	n, err := io.Copy(io.Discard, tar)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = n
	if err != nil && f.wrap {
		return nil, agent.Errorf(agent.CodeInvalidImage, "", "the archive is damaged: %w", err)
	}
	return []agent.Image{{Name: "web:1"}}, err
}

type fakeSystem struct{}

func (fakeSystem) System(context.Context) agent.System { return agent.System{} }
func (fakeSystem) RootCA(context.Context) ([]byte, error) {
	return []byte("-----BEGIN CERTIFICATE-----\n"), nil
}
