package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	utilexec "k8s.io/client-go/util/exec"

	"hks.dev/hks/agent"
)

// shellWorld is a cluster of made-up pods with one app, web in staging.
type shellWorld struct {
	set    *fake.Clientset
	server string
	app    agent.App
}

func (w *shellWorld) Interface() kubernetes.Interface { return w.set }

func (w *shellWorld) REST() (*rest.Config, error) { return &rest.Config{Host: w.server}, nil }

func (w *shellWorld) Current(context.Context) (agent.Workspace, error) {
	return agent.Workspace{Name: testNamespace}, nil
}

func (w *shellWorld) Get(_ context.Context, app string, env agent.Environment) (agent.App, error) {
	if app != w.app.Name {
		return agent.App{}, agent.Errorf(agent.CodeNotFound, "hks app list", "there is no app %s in %s", app, env)
	}
	return w.app, nil
}

func newShellWorld(t *testing.T, app agent.App, pods ...*corev1.Pod) (*shellWorld, *Shell) {
	t.Helper()
	var objects []runtime.Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	app.Name, app.Environment = "web", agent.Staging
	w := &shellWorld{set: fake.NewClientset(objects...), app: app}
	s, err := NewShell(ShellConfig{Cluster: w, Workspace: w, Apps: w})
	if err != nil {
		t.Fatal(err)
	}
	return w, s
}

// shellPod is a ready instance, changed by what follows.
func shellPod(name, component string, release int, changes ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: testNamespace, Name: name,
			Labels: map[string]string{
				agent.LabelApp: "web", agent.LabelEnvironment: "staging",
				agent.LabelComponent: component, agent.LabelRelease: fmt.Sprint(release),
			},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r", Controller: &controller}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: component, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func notReadyYet(p *corev1.Pod) { p.Status.Conditions = nil }
func ofAJob(p *corev1.Pod)      { p.OwnerReferences[0].Kind = "Job" }
func going(p *corev1.Pod) {
	now := metav1.Now()
	p.DeletionTimestamp, p.Finalizers = &now, []string{"x/y"}
}
func withSidecar(p *corev1.Pod) {
	p.Spec.Containers = append([]corev1.Container{{Name: "other"}}, p.Spec.Containers...)
}
func pending(p *corev1.Pod)  { p.Status.Phase = corev1.PodPending }
func portless(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil }

func TestA23FindChoosesAnInstance(t *testing.T) {
	pods := []*corev1.Pod{
		shellPod("a-job", "app", 2, ofAJob), shellPod("b-going", "app", 2, going), shellPod("c-new", "app", 3),
		shellPod("d-old", "app", 2, withSidecar), shellPod("e-starting", "app", 2, notReadyYet),
		shellPod("f-worker", "worker", 2, portless), shellPod("g-pending", "app", 3, pending, notReadyYet),
		shellPod("other-app", "app", 2, func(p *corev1.Pod) { p.Labels[agent.LabelApp] = "blog" }),
		shellPod("production", "app", 2, func(p *corev1.Pod) { p.Labels[agent.LabelEnvironment] = "production" }),
	}
	_, s := newShellWorld(t, agent.App{Status: agent.AppRunning, Release: 2}, pods...)
	for name, tt := range map[string]struct {
		app   string
		query agent.InstanceQuery
		want  agent.InstanceTarget
		code  agent.Code
		says  string
	}{
		"of the release that serves": {"web", agent.InstanceQuery{Component: "app"}, agent.InstanceTarget{Instance: "d-old", Component: "app", Container: "app", Port: 8080}, "", ""},
		"another port":               {"web", agent.InstanceQuery{Component: "app", Port: 9}, agent.InstanceTarget{Instance: "d-old", Component: "app", Container: "app", Port: 9}, "", ""},
		"a worker":                   {"web", agent.InstanceQuery{Component: "worker"}, agent.InstanceTarget{Instance: "f-worker", Component: "worker", Container: "worker"}, "", ""},
		"named, not ready":           {"web", agent.InstanceQuery{Instance: "e-starting"}, agent.InstanceTarget{Instance: "e-starting", Component: "app", Container: "app", Port: 8080}, "", ""},
		"named, not running":         {"web", agent.InstanceQuery{Instance: "g-pending"}, agent.InstanceTarget{}, agent.CodeConflict, "it is pending"},
		"named, of another app":      {"web", agent.InstanceQuery{Instance: "other-app"}, agent.InstanceTarget{}, agent.CodeNotFound, "web/staging has no instance other-app"},
		"named, other component":     {"web", agent.InstanceQuery{Instance: "d-old", Component: "worker"}, agent.InstanceTarget{}, agent.CodeNotFound, "no instance d-old"},
		"no such component":          {"web", agent.InstanceQuery{Component: "api"}, agent.InstanceTarget{}, agent.CodeNotFound, "web/staging has no component api"},
		"no such app":                {"nope", agent.InstanceQuery{}, agent.InstanceTarget{}, agent.CodeNotFound, "there is no app nope"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Find(t.Context(), tt.app, agent.Staging, tt.query)
			if agent.CodeOf(err) != tt.code || got != tt.want || (tt.says != "" && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestA23FindSaysWhyNothingIsReady(t *testing.T) {
	for name, tt := range map[string]struct {
		app       agent.App
		says, fix string
	}{
		"stopped":  {agent.App{Status: agent.AppStopped}, "the app is stopped", "hks app start web"},
		"error":    {agent.App{Status: agent.AppError, Reason: "it crashes"}, "the app is error (it crashes)", "see why: hks logs web"},
		"a mend":   {agent.App{Status: agent.AppPending, Reason: "no room", Fix: "free room"}, "pending (no room)", "free room"},
		"starting": {agent.App{Status: agent.AppDeploying}, "the app is deploying", "hks app show web"},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := newShellWorld(t, tt.app, shellPod("a", "app", 1, notReadyYet))
			_, err := s.Find(t.Context(), "web", agent.Staging, agent.InstanceQuery{})
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != agent.CodeConflict || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Fix, tt.fix) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestA23OutcomeOfACommand(t *testing.T) {
	run := agent.Exec{Command: []string{"sh"}}
	at := agent.InstanceTarget{Instance: "web-1"}
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, tt := range map[string]struct {
		ctx  context.Context
		err  error
		exit int
		code agent.Code
		says string
	}{
		"well":      {t.Context(), nil, 0, "", ""},
		"exit code": {t.Context(), fmt.Errorf("x: %w", utilexec.CodeExitError{Code: 7, Err: errors.New("seven")}), 7, "", ""},
		"left":      {left, errors.New("broken pipe"), 0, agent.CodeInternal, "context canceled"},
		"not there": {t.Context(), errors.New(`error executing command in container: exec: "sh": executable file not found in $PATH`), 0, agent.CodeNotFound, `web-1 can't run "sh"`},
		"no rights": {t.Context(), errors.New("odd"), 0, agent.CodeInternal, "running a command in web-1: odd"},
	} {
		t.Run(name, func(t *testing.T) {
			exit, err := outcomeOf(tt.ctx, at, run, tt.err)
			if exit != tt.exit || agent.CodeOf(err) != tt.code || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %d, %v", exit, err)
			}
		})
	}
}

// An API server that refuses is asked by WebSocket, then by SPDY, with all
// that the command is; its words are passed on.
func TestA23AnAPIServerThatRefuses(t *testing.T) {
	w, s := newShellWorld(t, agent.App{})
	var (
		mu    sync.Mutex // guards asked
		asked []string
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Reason: metav1.StatusReasonServiceUnavailable, Code: 503, Message: "the kubelet is away",
		})
	}))
	defer server.Close()
	w.server = server.URL
	target := agent.InstanceTarget{Instance: "web-1", Component: "app", Container: "app", Port: 8080}
	_, err := s.Exec(t.Context(), target, agent.Exec{Command: []string{"ls", "-l"}}, agent.ExecStreams{Stdout: &strings.Builder{}, Stderr: &strings.Builder{}})
	if err == nil || !strings.Contains(err.Error(), "the kubelet is away") {
		t.Errorf("exec: %v", err)
	}
	if _, err := s.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "the kubelet is away") {
		t.Errorf("port-forward: %v", err)
	}
	const pod = "/api/v1/namespaces/dev-workspace/pods/web-1/"
	want := []string{
		"GET " + pod + "exec?command=ls&command=-l&container=app&stderr=true&stdin=false&stdout=true&tty=false",
		"POST " + pod + "exec?command=ls&command=-l&container=app&stderr=true&stdin=false&stdout=true&tty=false",
		"GET " + pod + "portforward?", "POST " + pod + "portforward?",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	target.Port = 0
	if _, err := s.Dial(t.Context(), target); agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("without a port: %v", err)
	}
}

func TestA23PortTrouble(t *testing.T) {
	target := agent.InstanceTarget{Instance: "web-1", Port: 9}
	err := portTrouble(target, "failed to connect to localhost:9 inside namespace: dial tcp4 127.0.0.1:9: connect: connection refused")
	if agent.CodeOf(err) != agent.CodeConflict || err.Error() != "nothing listens on port 9 of web-1" {
		t.Errorf("got %v", err)
	}
	if err := portTrouble(target, "odd"); !strings.Contains(err.Error(), "port 9 of web-1: odd") {
		t.Errorf("got %v", err)
	}
}
