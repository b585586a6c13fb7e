package market

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

const (
	namespace = "dev-workspace"
	waitLimit = 10 * time.Second
)

// world is a manager with everything around it made up, except the store, the
// files and a fake API server.
type world struct {
	*Manager
	t       *testing.T
	store   *store.Store
	set     *fake.Clientset
	remote  *fakeRemote
	helm    *fakeHelm
	shell   *fakeShell
	apps    *fakeApps
	carrier *carrier
	plan    agent.Plan
	root    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, set: fake.NewClientset(), helm: &fakeHelm{}, remote: &fakeRemote{}, shell: &fakeShell{archive: []byte("what is in the database")}, apps: &fakeApps{env: map[string]map[string]string{"web/staging": {}}},
		plan: agent.Plan{Name: "hobby", StorageBytes: 10 << 30}, root: t.TempDir(),
	}
	w.carrier = &carrier{at: "own", t: t}
	var err error
	if w.store, err = store.New(store.Config{Path: filepath.Join(w.root, "hks.db"), Key: bytes.Repeat([]byte{7}, 32)}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.helm.set = w.set
	w.Manager = w.newManager()
	w.begin()
	return w
}

func (w *world) newManager() *Manager {
	w.t.Helper()
	m, err := New(Config{
		Store: w.store, Cluster: w, Workspace: w, Helm: w.helm, Shell: w.shell, Apps: w.apps, Remote: w.remote, Volumes: w, Places: w.carrier,
		Backups: filepath.Join(w.root, "backups"), Charts: filepath.Join(w.root, "charts"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// begin starts the manager, and stops it with the test.
func (w *world) begin() {
	w.t.Helper()
	m := w.Manager
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.end(m) })
}

func (w *world) end(m *Manager) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := m.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *world) Interface() kubernetes.Interface { return w.set }

func (w *world) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: namespace, Status: agent.WorkspaceReady, Plan: w.plan}, nil
}

// Discard deletes a claim.
func (w *world) Discard(ctx context.Context, namespace, claim string) error {
	err := w.set.CoreV1().PersistentVolumeClaims(namespace).Delete(ctx, claim, metav1.DeleteOptions{})
	return kube.IgnoreNotFound(kube.Explain("deleting a claim", err))
}

// Room has no end.
func (w *world) Room(int64) error { return nil }

// done waits for the end of a job.
func (w *world) done(job agent.ServiceJob, err error) agent.ServiceJob {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	deadline := time.After(waitLimit)
	for {
		now, err := w.Job(w.t.Context(), job.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		if now.Status.Done() {
			return now
		}
		select {
		case <-deadline:
			w.t.Fatalf("the %s does not end: %+v", job.Kind, now)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// good waits for a job and wants it to succeed.
func (w *world) good(job agent.ServiceJob, err error) agent.ServiceJob {
	w.t.Helper()
	job = w.done(job, err)
	if job.Failure != nil {
		w.t.Fatalf("the %s failed: %+v", job.Kind, job.Failure)
	}
	return job
}

func (w *world) installed(name string) {
	w.t.Helper()
	w.good(w.Install(w.t.Context(), agent.ServiceRequest{Name: name, Chart: "postgresql"}, "test"))
}

// refuse wants an error of a code that holds all the words and a fix.
func refuse(t *testing.T, err error, code agent.Code, words ...string) *agent.Error {
	t.Helper()
	e, ok := errors.AsType[*agent.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(e.Message+" "+e.Fix, word) {
			t.Errorf("no %q in %q, fix %q", word, e.Message, e.Fix)
		}
	}
	if e.Fix == "" {
		t.Errorf("%q has no fix", e.Message)
	}
	return e
}

// fakeHelm makes a ready pod of each release.
type fakeHelm struct {
	set *fake.Clientset

	mu      sync.Mutex // guards the rest
	calls   []string
	state   helm.Recovery // of the next Recover; absent when nothing is installed
	there   map[string]bool
	fail    error
	hold    chan struct{} // Install and Upgrade wait for it when set, or for ctx
	holding chan struct{} // closed when it does
}

func (f *fakeHelm) Install(ctx context.Context, r helm.Release) error {
	f.mu.Lock()
	f.calls = append(f.calls, "install "+r.Name)
	hold, holding, fail := f.hold, f.holding, f.fail
	f.mu.Unlock()
	if hold != nil {
		close(holding)
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fail != nil {
		return fail
	}
	f.mu.Lock()
	if f.there == nil {
		f.there = map[string]bool{}
	}
	f.there[r.Name] = true
	f.mu.Unlock()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: r.Name + "-0", Namespace: r.Namespace, Labels: map[string]string{agent.LabelInstance: r.Name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "database"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	_, err := f.set.CoreV1().Pods(r.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	return err
}

func (f *fakeHelm) Upgrade(ctx context.Context, r helm.Release) error {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf("upgrade %s memory=%v", r.Name, r.Values["memory"]))
	hold, holding, fail := f.hold, f.holding, f.fail
	f.mu.Unlock()
	if hold != nil {
		close(holding)
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fail
}

func (f *fakeHelm) Uninstall(ctx context.Context, namespace, name string) error {
	f.mu.Lock()
	f.calls = append(f.calls, "uninstall "+name)
	delete(f.there, name)
	f.mu.Unlock()
	err := f.set.CoreV1().Pods(namespace).Delete(ctx, name+"-0", metav1.DeleteOptions{})
	if err != nil && strings.Contains(err.Error(), "not found") {
		return nil
	}
	return err
}

func (f *fakeHelm) Recover(_ context.Context, _, name string) (helm.Recovery, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state := f.state; state != "" {
		f.state = ""
		return state, nil
	}
	if !f.there[name] {
		return helm.RecoveredAbsent, nil
	}
	return helm.RecoveredNothing, nil
}

func (f *fakeHelm) Diff(context.Context, helm.Release) ([]agent.Change, error) { return nil, nil }

func (f *fakeHelm) Test(context.Context, string, string) error { return nil }

func (f *fakeHelm) heard() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, "; ")
}

// fakeShell is the program in the instances.
type fakeShell struct {
	mu       sync.Mutex // guards the rest
	calls    []string
	archive  []byte // what a backup gives
	cut      int    // bytes after which a backup breaks off; 0: never
	restored []byte
	hold     chan struct{} // backup and restore wait for it when set, or for ctx
	holding  chan struct{}
}

func (f *fakeShell) Exec(ctx context.Context, target agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (int, error) {
	f.mu.Lock()
	f.calls = append(f.calls, strings.Join(run.Command[2:], " "))
	archive, cut, hold, holding := f.archive, f.cut, f.hold, f.holding
	f.mu.Unlock()
	tables := []agent.BackupTable{{Name: "public.notes", Rows: 2, Checksum: "17"}}
	sum := func(data []byte) string { s := sha256.Sum256(data); return hex.EncodeToString(s[:]) }
	switch run.Command[2] {
	case "backup":
		if cut > 0 {
			_, _ = streams.Stdout.Write(archive[:cut])
			fmt.Fprintln(streams.Stderr, "error: pg_dump: the disk is full")
			return 1, nil
		}
		if hold != nil {
			_, _ = streams.Stdout.Write(archive[:4])
			close(holding)
			<-ctx.Done()
			return 0, ctx.Err()
		}
		_, err := streams.Stdout.Write(archive)
		line, _ := json.Marshal(contents{SHA256: sum(archive), Bytes: int64(len(archive)), Tables: tables})
		fmt.Fprintf(streams.Stderr, "a notice\n%s\n", line)
		return 0, err
	case "restore":
		data, err := io.ReadAll(streams.Stdin)
		if err != nil {
			return 0, err
		}
		if hold != nil {
			close(holding)
			select {
			case <-hold:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		head, archive, _ := bytes.Cut(data, []byte("\n"))
		f.mu.Lock()
		f.restored = archive
		f.mu.Unlock()
		_, err = streams.Stdout.Write(append(head, '\n'))
		return 0, err
	}
	if streams.Stdin != nil {
		_, err := io.Copy(io.Discard, streams.Stdin)
		return 0, err
	}
	return 0, nil
}

func (f *fakeShell) Dial(context.Context, agent.InstanceTarget) (agent.Tunnel, error) {
	return nil, errors.New("nothing to dial")
}

func (f *fakeShell) heard() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, "; ")
}

// fakeApps keeps environments; each change is a release that succeeds.
type fakeApps struct {
	mu       sync.Mutex // guards the rest
	env      map[string]map[string]string
	releases int
	fail     agent.ReleaseStatus // of releases, when set
}

func (f *fakeApps) SetEnv(_ context.Context, app string, env agent.Environment, set map[string]string, unset []string, _ string) (agent.Release, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	has, ok := f.env[app+"/"+string(env)]
	if !ok {
		return agent.Release{}, agent.Errorf(agent.CodeNotFound, "hks app list", "there is no app %s", app)
	}
	for name, value := range set {
		has[name] = value
	}
	for _, name := range unset {
		delete(has, name)
	}
	f.releases++
	return agent.Release{App: app, Environment: env, Number: f.releases, Status: f.status()}, nil
}

func (f *fakeApps) status() agent.ReleaseStatus {
	if f.fail != "" {
		return f.fail
	}
	return agent.ReleaseSucceeded
}

func (f *fakeApps) EnvNames(_ context.Context, app string, env agent.Environment) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	has, ok := f.env[app+"/"+string(env)]
	if !ok {
		return nil, agent.Errorf(agent.CodeNotFound, "hks app list", "there is no app %s", app)
	}
	var names []string
	for name := range has {
		names = append(names, name)
	}
	return names, nil
}

func (f *fakeApps) Release(_ context.Context, app string, env agent.Environment, number int) (agent.Release, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return agent.Release{App: app, Environment: env, Number: number, Status: f.status()}, nil
}

func (f *fakeApps) value(app, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.env[app][name]
}

// fakeRemote keeps copies in memory.
type fakeRemote struct {
	mu     sync.Mutex // guards the rest
	copies map[string][]byte
	fail   error // of Put
}

func (f *fakeRemote) Check(context.Context, agent.BackupTarget) error { return nil }

func (f *fakeRemote) Put(_ context.Context, target agent.BackupTarget, key string, file io.Reader, _ int64, _ string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return "", f.fail
	}
	data, err := io.ReadAll(file)
	if f.copies == nil {
		f.copies = map[string][]byte{}
	}
	f.copies[key] = data
	return "s3://" + target.Bucket + "/" + key, err
}

func (f *fakeRemote) Get(_ context.Context, _ agent.BackupTarget, key string) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.copies[key]
	if !ok {
		return nil, errors.New("nothing there")
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (f *fakeRemote) Remove(_ context.Context, _ agent.BackupTarget, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.copies, key)
	return nil
}
