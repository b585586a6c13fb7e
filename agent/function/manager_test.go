package function

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/store"
)

// world is a manager over a real database; cluster, builder and gateway are
// played by it.
type world struct {
	*Manager
	store *store.Store
	set   kubernetes.Interface

	mu      sync.Mutex // guards what follows
	archive int        // bytes that the builder makes
	answers map[string]func(call agent.FunctionCall) agent.FunctionAnswer
	calls   []string // names of functions
	loads   map[string]agent.FunctionLoad
	cron    map[string][]agent.FunctionTrigger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.New(store.Config{Path: filepath.Join(t.TempDir(), "hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &world{
		store: s, set: fake.NewClientset(), answers: map[string]func(agent.FunctionCall) agent.FunctionAnswer{}, cron: map[string][]agent.FunctionTrigger{},
		loads: map[string]agent.FunctionLoad{},
	}
	w.Manager, err = New(Config{Store: s, Cluster: w, Workspace: w, Images: w, Builder: w, Gateway: w, Schedules: w, Dir: t.TempDir(), Domain: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) Interface() kubernetes.Interface { return w.set }
func (w *world) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: "dev", Status: agent.WorkspaceReady, Plan: agent.Plan{Name: "hobby", Functions: 5}}, nil
}
func (w *world) Resolve(context.Context, string) (image, digest string, err error) {
	return "image", "sha256:1", nil
}
func (w *world) Solve(_ context.Context, job buildkit.Job, _ func(buildkit.Event)) (buildkit.Result, error) {
	return buildkit.Result{}, os.WriteFile(job.Archive, make([]byte, w.archive), 0o600)
}
func (w *world) SetFunctions(context.Context, agent.FunctionTable) error { return nil }
func (w *world) FunctionLoads(context.Context) (map[string]agent.FunctionLoad, error) {
	return w.loads, nil
}
func (w *world) ReleaseFunction(context.Context, string, string, time.Duration) (bool, error) {
	return true, nil
}
func (w *world) CallFunction(_ context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	if answer := w.answers[name]; answer != nil {
		return answer(call), nil
	}
	return agent.FunctionAnswer{Status: 200}, nil
}
func (w *world) CheckTriggers(_ context.Context, _ string, triggers []agent.FunctionTrigger) error {
	if len(triggers) > 0 && triggers[0].Cron == "bad" {
		return agent.Errorf(agent.CodeInvalid, "", "the schedule can't be read")
	}
	return nil
}
func (w *world) FollowTriggers(_ context.Context, name string, triggers []agent.FunctionTrigger, _ string) error {
	w.cron[name] = triggers
	return nil
}

// serving makes a function that serves.
func (w *world) serving(t *testing.T, name string, triggers ...agent.FunctionTrigger) {
	t.Helper()
	v, err := w.Deploy(t.Context(), source(name, triggers...), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.activate(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func source(name string, triggers ...agent.FunctionTrigger) agent.FunctionDeploy {
	return agent.FunctionDeploy{
		Spec:  agent.FunctionSpec{Name: name, Runtime: "nodejs", Entry: "hello", Triggers: triggers},
		Files: map[string][]byte{"index.js": []byte("exports.hello = () => {};\n")},
	}
}

// drain makes the asynchronous calls that are due, until there is none.
func (w *world) drain(t *testing.T) {
	t.Helper()
	for range 100 {
		letters, err := w.store.LeaseLetters(t.Context(), lease, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) == 0 {
			return
		}
		for _, l := range letters {
			w.deliver(t.Context(), l)
		}
	}
	t.Fatal("the calls go on for ever")
}

func TestEventsCallTheFunctionsThatWaitForThem(t *testing.T) {
	w := newWorld(t)
	w.serving(t, "any", agent.FunctionTrigger{Event: "com.example.*"})
	w.serving(t, "made", agent.FunctionTrigger{Event: "com.example.made"})
	w.serving(t, "none")
	var got agent.FunctionCall
	w.answers["any"] = func(call agent.FunctionCall) agent.FunctionAnswer {
		got = call
		return agent.FunctionAnswer{Status: 200}
	}
	for kind, want := range map[string][]string{"com.example.made": {"any", "made"}, "com.example.sold": {"any"}, "com.examples": {}} {
		sent, err := w.Emit(t.Context(), agent.FunctionEvent{Type: kind, ID: kind, Data: json.RawMessage(`{"n":1}`)})
		if err != nil || !slices.Equal(sent.Functions, want) {
			t.Errorf("%s goes to %v, %v; want %v", kind, sent.Functions, err, want)
		}
	}
	if _, err := w.Emit(t.Context(), agent.FunctionEvent{Type: "com.example.made", ID: "com.example.made"}); err != nil { // the same again
		t.Error(err)
	}
	w.drain(t)
	slices.Sort(w.calls)
	if want := []string{"any", "any", "made"}; !slices.Equal(w.calls, want) {
		t.Errorf("called %v, want %v", w.calls, want)
	}
	header := map[string]string{}
	for name, value := range got.Headers {
		header[strings.ToLower(name)] = value
	}
	if header["ce-specversion"] != "1.0" || !strings.HasPrefix(header["ce-type"], "com.example.") || header["ce-source"] != "/hks" || header["ce-hksdepth"] != "0" ||
		header["content-type"] != "application/json" || string(got.Payload) != `{"n":1}` {
		t.Errorf("the call: %v %s", header, got.Payload)
	}
	if _, err := w.Emit(t.Context(), agent.FunctionEvent{}); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("an event without a type: %v", err)
	}
	if _, err := w.Emit(t.Context(), agent.FunctionEvent{Type: "x", Data: json.RawMessage(`"` + strings.Repeat("x", agent.MaxFunctionEvent) + `"`)}); agent.CodeOf(err) != agent.CodeTooLarge {
		t.Errorf("an event of more than 256 KB: %v", err)
	}
}

func TestEventsAnsweredForEverEndAsADeadLetter(t *testing.T) {
	w := newWorld(t)
	w.serving(t, "echo", agent.FunctionTrigger{Event: "loop"})
	next := 0
	w.answers["echo"] = func(agent.FunctionCall) agent.FunctionAnswer {
		next++
		return agent.FunctionAnswer{Status: 200, Headers: map[string]string{"Ce-Specversion": "1.0", "Ce-Type": "loop", "Ce-Source": "/echo", "Ce-Id": strconv.Itoa(next)}}
	}
	if _, err := w.Emit(t.Context(), agent.FunctionEvent{Type: "loop"}); err != nil {
		t.Fatal(err)
	}
	w.drain(t)
	letters, err := w.Letters(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	if len(w.calls) != maxDepth+1 || len(letters) != 1 || letters[0].Status != "dead" || !strings.Contains(letters[0].Error, "went through 8 functions") {
		t.Errorf("%d calls, left %+v", len(w.calls), letters)
	}
}

func TestTriggersMakeCronJobs(t *testing.T) {
	w := newWorld(t)
	cron := agent.FunctionTrigger{Cron: "0 9 * * *", TimeZone: "Europe/Vienna"}
	w.serving(t, "report", cron, agent.FunctionTrigger{Event: "x"})
	if got := w.cron["report"]; !slices.Equal(got, []agent.FunctionTrigger{cron}) {
		t.Errorf("its cron jobs: %+v", got)
	}
	w.serving(t, "report") // a version without a trigger
	if got := w.cron["report"]; len(got) != 0 {
		t.Errorf("they stay: %+v", got)
	}
	if _, err := w.Rollback(t.Context(), "report", 1, "ada"); err != nil {
		t.Fatal(err)
	}
	if got := w.cron["report"]; len(got) != 1 {
		t.Errorf("after the rollback: %+v", got)
	}
	if err := w.Delete(t.Context(), "report", "ada"); err != nil || len(w.cron["report"]) != 0 {
		t.Errorf("after its end: %v %+v", err, w.cron)
	}
	if _, err := w.Deploy(t.Context(), source("other", agent.FunctionTrigger{Cron: "bad"}), "ada"); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("a schedule that can't be: %v", err)
	}
	if _, err := w.Get(t.Context(), "other"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("it was made nevertheless: %v", err)
	}
}

func TestA56LimitsAreNamed(t *testing.T) {
	w := newWorld(t)
	for n := range 5 {
		w.serving(t, "f"+strconv.Itoa(n))
	}
	big := map[string]string{"A": strings.Repeat("x", maxEnv)}
	for name, c := range map[string]struct {
		do   func() error
		code agent.Code
		says string
	}{
		"sixth function": {func() error { _, err := w.Deploy(t.Context(), source("f5"), "ada"); return err }, agent.CodePlanLimit, "allows 5 functions"},
		"environment":    {func() error { _, err := w.SetEnv(t.Context(), "f0", big, nil, "ada"); return err }, agent.CodeTooLarge, "4096"},
		"asynchronous payload": {func() error {
			_, err := w.InvokeAsync(t.Context(), "f0", agent.FunctionCall{Payload: make([]byte, agent.MaxFunctionEvent+1)})
			return err
		}, agent.CodeTooLarge, strconv.Itoa(agent.MaxFunctionEvent)},
		"package": {func() error {
			w.archive = maxPackage + 1
			_, err := w.Manager.archive(t.Context(), source("f0"))
			return err
		}, agent.CodeTooLarge, "50 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(); agent.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want %s with %q", err, c.code, c.says)
			}
		})
	}
	if _, err := w.Deploy(t.Context(), source("f0"), "ada"); err != nil {
		t.Errorf("another version of one that is there: %v", err)
	}
}

func TestAPodThatServedUnderAnAgentBeforeIsNotFree(t *testing.T) {
	w := newWorld(t)
	w.loads = map[string]agent.FunctionLoad{"10.42.0.7:8081": {InFlight: 1}}
	w.recall(t.Context())
	pods := map[string]*corev1.Pod{}
	for name, ip := range map[string]string{"serves": "10.42.0.7", "waits": "10.42.0.8"} {
		p := newPod(class{"nodejs", 128}, "image")
		p.Name, p.Status.PodIP = name, ip
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		pods[name] = p
	}
	var items []corev1.Pod
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		items = append(items, *pods[name])
	}
	w.adopt(items, time.Now())
	if p := w.pool["serves"]; !p.taken || p.retired.IsZero() {
		t.Errorf("the one that serves: %+v", p)
	}
	got, err := w.take(t.Context(), class{"nodejs", 128})
	if err != nil || got.name != "waits" {
		t.Errorf("a claim gets %+v, %v", got, err)
	}
}
