package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

func TestA10DeployIsRunningWhenRolledOutAndRouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.deploy(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}, Env: map[string]string{"KEY": "canary"}})
		if r.Number != 1 || r.Status != agent.ReleasePending || r.Spec.Env["KEY"] != agent.HiddenValue {
			t.Errorf("accepted: %+v", r)
		}
		w.is(agent.AppDeploying, 0)
		w.pod("web-staging-1-0", running)
		w.is(agent.AppDeploying, 0)
		if len(w.asked) > 0 {
			t.Error("the route was asked before the rollout was seen")
		}
		w.serve(1)
		a := w.is(agent.AppRunning, 1)
		if a.URL != "https://web-staging.localhost" || a.Ready != 1 || a.Digest != digestOf('a') || len(a.Instances) != 1 || a.Instances[0].Phase != "ready" {
			t.Errorf("app: %+v", a)
		}
		if !slices.Contains(w.asked, a.URL) {
			t.Errorf("the route was not asked: %v", w.asked)
		}
		secret, err := w.set.CoreV1().Secrets(testNamespace).Get(t.Context(), "web-staging-1", metav1.GetOptions{})
		if err != nil || string(secret.Data["KEY"]) != "canary" || secret.Immutable == nil || !*secret.Immutable {
			t.Errorf("secret %+v, %v", secret, err)
		}
		if steps := w.steps(1); steps[0] != "resolve" || steps[len(steps)-1] != "done" || !slices.Contains(steps, "route") {
			t.Errorf("steps: %v", steps)
		}
		if !slices.Contains(w.events, "app web/staging running") {
			t.Errorf("events: %v", w.events)
		}
	})
}

func TestA13ImageErrorKeepsTheOldReleaseAndARedeployWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.shows(2, 1)
		w.pod("web-staging-2-0", waiting("ErrImagePull", `rpc error: code = NotFound desc = failed to pull and unpack image "registry.hks.internal/web": web: not found`))
		w.shows(1, 1)
		a := w.is(agent.AppError, 1)
		if !strings.Contains(a.Reason, "web: not found") || a.Fix == "" {
			t.Errorf("reason %q, fix %q", a.Reason, a.Fix)
		}
		r := w.release(2)
		if r.Status != agent.ReleaseFailed || r.Failure.Code != agent.CodeImagePull {
			t.Errorf("release: %+v", r)
		}
		if steps := w.steps(2); !slices.Contains(steps, "rollback") || steps[len(steps)-1] != "failed" {
			t.Errorf("steps: %v", steps)
		}
		w.deployed(spec("web:3"))
		w.is(agent.AppRunning, 3)
	})
}

func TestA13ImageUnknownToTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("nowhere:1"))
		if r := w.release(1); r.Status != agent.ReleaseFailed || r.Failure.Code != agent.CodeImagePull || !strings.Contains(r.Failure.Message, "manifest unknown") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		if a := w.is(agent.AppError, 0); !strings.Contains(a.Reason, "nowhere:1") {
			t.Errorf("reason %q", a.Reason)
		}
		w.deployed(spec("web:1"))
		w.is(agent.AppRunning, 2)
	})
}

func TestA13RegistryAwayIsTriedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("far:1"))
		w.pod("web-staging-1-0", waiting("ErrImagePull", "dial tcp: lookup docker.io: no such host"))
		time.Sleep(50 * time.Second)
		settle()
		w.pod("web-staging-1-0", waiting("ImagePullBackOff", `Back-off pulling image "far:1": ErrImagePull: dial tcp: lookup docker.io: no such host`))
		w.is(agent.AppDeploying, 0)
		time.Sleep(11 * time.Second)
		settle()
		if r := w.release(1); r.Status != agent.ReleaseFailed || !strings.Contains(r.Failure.Message, "no such host") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		w.shows(1, 0)
	})
}

func TestA14NoRoomIsPendingAndGoesOnByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080, CPU: "2"}}})
		w.pod("web-staging-1-0", noRoom("0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."))
		a := w.is(agent.AppPending, 0)
		if !strings.Contains(a.Reason, "no node has 0.2 cores free") || strings.Contains(a.Reason, "preemption") {
			t.Errorf("reason %q", a.Reason)
		}
		time.Sleep(3 * time.Hour)
		settle()
		w.is(agent.AppPending, 0)
		w.serve(1)
		w.is(agent.AppRunning, 1)
	})
}

func TestA14QuotaFullIsPendingAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("web:1"))
		w.status(func(s *appsv1.DeploymentStatus) {
			s.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
				Message: `pods "web-staging-x" is forbidden: exceeded quota: hks, requested: limits.cpu=500m, used: limits.cpu=4, limited: limits.cpu=4`}}
		})
		if a := w.is(agent.AppPending, 0); !strings.Contains(a.Reason, "500m asked, 4 of 4 used") {
			t.Errorf("reason %q", a.Reason)
		}
		time.Sleep(10 * time.Minute)
		settle()
		w.is(agent.AppPending, 0)
		if w.deployment().Annotations[annotationRetried] == "" {
			t.Error("the refused pod was not tried again")
		}
		w.serve(1)
		w.is(agent.AppRunning, 1)
	})
}

func TestA17CrashIsRolledBackAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.pod("web-staging-2-0", crashed(7, 1))
		w.is(agent.AppUpdating, 1)
		w.pod("web-staging-2-0", crashed(7, 2))
		w.shows(1, 1)
		w.is(agent.AppError, 1)
		f := w.release(2).Failure
		if f == nil || f.Code != agent.CodeRollout || f.ExitCode == nil || *f.ExitCode != 7 || len(f.Logs) == 0 || !strings.Contains(f.Message, "exit code 7") {
			t.Errorf("failure: %+v", f)
		}
	})
}

func TestA17FirstReleaseThatCrashesIsScaledToZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("web:1"))
		w.pod("web-staging-1-0", crashed(1, 2))
		w.shows(1, 0)
		w.is(agent.AppError, 0)
		if _, err := w.m.RestartApp(t.Context(), "web", agent.Staging, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("restart: %v", err)
		}
	})
}

func TestA17NeverReadyFailsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		time.Sleep(100 * time.Second) // the node was slow
		w.pod("web-staging-2-0", running)
		event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: testNamespace}, Reason: "Unhealthy",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-staging-2-0"}, LastTimestamp: metav1.NewTime(time.Now().Add(startingFor)),
			Message: "Startup probe failed: dial tcp 10.42.0.7:8080: connect: connection refused"}
		if _, err := w.set.CoreV1().Events(testNamespace).Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Second) // progress began the time anew
		settle()
		w.is(agent.AppUpdating, 1)
		time.Sleep(25 * time.Second)
		settle()
		w.shows(1, 1)
		if a := w.is(agent.AppError, 1); !strings.Contains(a.Reason, "nothing listens on port 8080") {
			t.Errorf("reason %q", a.Reason)
		}
	})
}

func TestA17SlowPullIsNotADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("web:1"))
		w.pod("web-staging-1-0", waiting("ContainerCreating", ""))
		event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: testNamespace}, Reason: "Pulling",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-staging-1-0"}, LastTimestamp: metav1.Now()}
		if _, err := w.set.CoreV1().Events(testNamespace).Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		settle()
		a := w.is(agent.AppDeploying, 0)
		if a.Instances[0].Phase != "pulling" {
			t.Errorf("phase %q", a.Instances[0].Phase)
		}
		time.Sleep(6 * time.Minute)
		settle()
		w.is(agent.AppError, 0)
	})
}

func TestA17RouteThatNeverAnswersFailsTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.mu.Lock()
		w.route = agent.Errorf(agent.CodeRollout, "hks status", "the route does not answer: the gateway does not know the route")
		w.mu.Unlock()
		w.deploy(spec("web:2"))
		w.serve(2)
		if a := w.is(agent.AppError, 1); !strings.Contains(a.Reason, "does not know the route") {
			t.Errorf("reason %q", a.Reason)
		}
		w.shows(1, 1)
	})
}

func TestNewerReleaseSupersedesAnUnfinishedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.pod("web-staging-2-0", running)
		w.deploy(spec("web:3"))
		if r := w.release(2); r.Status != agent.ReleaseCancelled {
			t.Errorf("release 2 is %s", r.Status)
		}
		if steps := w.steps(2); steps[len(steps)-1] != "failed" {
			t.Errorf("steps: %v", steps)
		}
		w.serve(3)
		w.is(agent.AppRunning, 3)
	})
}

func TestA96UnfinishedReleaseIsTakenUpAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.pod("web-staging-2-0", running)
		w.stop()
		w.start()
		settle()
		w.is(agent.AppUpdating, 1)
		w.serve(2)
		w.is(agent.AppRunning, 2)
		w.steps(2)
	})
}

func TestA96ReleaseAcceptedWhileTheAgentDiesIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.stop()
		w.deploy(spec("web:2")) // accepted on disk; no worker takes it
		w.shows(1, 1)
		time.Sleep(time.Hour)
		w.start()
		settle()
		w.shows(2, 1)
		w.is(agent.AppUpdating, 1)
		time.Sleep(resumedGrace + time.Second) // its time began when it was accepted
		settle()
		w.is(agent.AppError, 1)
		w.shows(1, 1)
	})
}

func TestA96RollbackIsFinishedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.stop()
		failure := &agent.Failure{Code: agent.CodeRollout, Message: "it crashed"}
		if _, err := w.cfg.Store.FinishRelease(t.Context(), "web", agent.Staging, 2, failure); err != nil {
			t.Fatal(err)
		}
		w.shows(2, 1) // killed before the old release was applied again
		w.start()
		settle()
		w.shows(1, 1)
		w.is(agent.AppError, 1)
	})
}

func TestRestartOfTheAgentTouchesNoRunningApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.stop()
		w.set.ClearActions()
		w.start()
		settle()
		w.is(agent.AppRunning, 1)
		for _, action := range w.set.Actions() {
			if v := action.GetVerb(); v != "list" && v != "watch" {
				t.Errorf("%s %s", v, action.GetResource().Resource)
			}
		}
	})
}

func TestA18RollbackIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080, Health: "/healthz"}}, Env: map[string]string{"KEY": "first"}})
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:2", Port: 9090, Health: "tcp"}}, Env: map[string]string{"KEY": "second", "MORE": "x"}})
		w.mu.Lock()
		w.images["web:1"] = digestOf('f') // the tag moved
		w.mu.Unlock()
		r, err := w.m.Rollback(t.Context(), "web", agent.Staging, 0, "owner")
		if err != nil {
			t.Fatal(err)
		}
		if r.Number != 3 || r.Kind != "rollback" || r.From != 1 || r.Digests["app"] != digestOf('a') {
			t.Errorf("accepted: %+v", r)
		}
		settle()
		w.serve(3)
		w.is(agent.AppRunning, 3)
		c := w.deployment().Spec.Template.Spec.Containers[0]
		if c.Image != "registry.hks.internal/web@"+digestOf('a') || c.Ports[0].ContainerPort != 8080 || c.ReadinessProbe.HTTPGet == nil {
			t.Errorf("container: %+v", c)
		}
		secret, err := w.set.CoreV1().Secrets(testNamespace).Get(t.Context(), "web-staging-3", metav1.GetOptions{})
		if err != nil || len(secret.Data) != 1 || string(secret.Data["KEY"]) != "first" {
			t.Errorf("secret: %v, %v", secret.Data, err)
		}
	})
}

func TestA21PatchKeepsWhatWasSetMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}, Env: map[string]string{"KEPT": "1", "GONE": "2"}})
		patch := agent.Deploy{Patch: &agent.EnvPatch{Set: map[string]string{"NEW": "3"}, Unset: []string{"GONE", "NEVER"}}} // made while a build begins
		w.deployed(agent.Deploy{Env: map[string]string{"KEPT": agent.HiddenValue, "GONE": agent.HiddenValue, "SECRET": "set meanwhile"}})
		w.deployed(patch)
		secret, err := w.set.CoreV1().Secrets(testNamespace).Get(t.Context(), "web-staging-3", metav1.GetOptions{})
		if err != nil || len(secret.Data) != 3 || string(secret.Data["SECRET"]) != "set meanwhile" || string(secret.Data["NEW"]) != "3" || string(secret.Data["KEPT"]) != "1" {
			t.Errorf("secret: %q, %v", secret.Data, err)
		}
	})
}

func TestA18DigestIsLearnedFromTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("far:1"))
		w.pod("web-staging-1-0", func(p *corev1.Pod) {
			ready(p)
			p.Status.ContainerStatuses[0].ImageID = "docker.io/library/far@" + digestOf('e')
		})
		w.rolledOut()
		w.is(agent.AppRunning, 1)
		if r := w.release(1); r.Digests["app"] != digestOf('e') {
			t.Errorf("digests %v", r.Digests)
		}
		w.deployed(spec("web:1"))
		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 1, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		if image := w.deployment().Spec.Template.Spec.Containers[0].Image; image != "index.docker.io/library/far@"+digestOf('e') {
			t.Errorf("image %q", image)
		}
	})
}

func TestA18RollbackRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		for number, code := range map[int]agent.Code{0: agent.CodeConflict, 1: agent.CodeConflict, 9: agent.CodeNotFound} {
			if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, number, "owner"); agent.CodeOf(err) != code {
				t.Errorf("rollback to %d: %v", number, err)
			}
		}
		w.deploy(spec("nowhere:1"))
		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 2, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("rollback to a failed release: %v", err)
		}
		if _, err := w.m.Rollback(t.Context(), "web", agent.Staging, 1, "owner"); err != nil {
			t.Errorf("back to what serves, after a failure: %v", err)
		}
		if _, err := w.m.Rollback(t.Context(), "other", agent.Staging, 0, "owner"); agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("rollback of no app: %v", err)
		}
	})
}

func TestA19StopStartScaleRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		act := func(a agent.App, err error) agent.App {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			settle()
			return a
		}
		if a := act(w.m.Scale(t.Context(), "web", agent.Staging, "", agent.Fixed(3), "owner")); a.Status == agent.AppRunning || a.Replicas != 3 {
			t.Errorf("right after scaling: %s with %d", a.Status, a.Replicas)
		}
		w.shows(1, 3)
		w.serve(1)
		w.is(agent.AppRunning, 1)
		if _, err := w.set.PolicyV1().PodDisruptionBudgets(testNamespace).Get(t.Context(), "web-staging", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}

		if a := act(w.m.RestartApp(t.Context(), "web", agent.Staging, "owner")); a.Status == agent.AppRunning {
			t.Errorf("right after a restart: %s", a.Status)
		}
		if w.deployment().Spec.Template.Annotations[annotationRestarted] == "" {
			t.Error("no restart on the pod template")
		}
		w.serve(1)
		w.is(agent.AppRunning, 1)

		if a := act(w.m.StopApp(t.Context(), "web", agent.Staging, "owner")); a.Status != agent.AppStopping {
			t.Errorf("right after stopping: %s", a.Status)
		}
		w.shows(1, 0)
		w.is(agent.AppStopping, 1)
		w.dropPods()
		w.is(agent.AppStopped, 1)

		act(w.m.StartApp(t.Context(), "web", agent.Staging, "owner"))
		w.shows(1, 3)
		w.serve(1)
		w.is(agent.AppRunning, 1)

		for _, replicas := range []int{0, -1, 21} {
			if _, err := w.m.Scale(t.Context(), "web", agent.Staging, "", agent.Fixed(replicas), "owner"); err == nil {
				t.Errorf("scaled to %d", replicas)
			}
		}
	})
}

func TestStopCancelsAReleaseOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		if _, err := w.m.StopApp(t.Context(), "web", agent.Staging, "owner"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.shows(1, 0)
		if r := w.release(2); r.Status != agent.ReleaseCancelled {
			t.Errorf("release 2 is %s", r.Status)
		}
		w.dropPods()
		w.is(agent.AppStopped, 1)
		w.deployed(spec("web:3"))
		w.is(agent.AppRunning, 3)
	})
}

func TestA19DeleteListsWhatItRemovedAndANewAppBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}, Env: map[string]string{"A": "b"}, Replicas: map[string]agent.Scale{"app": agent.Fixed(2)}})
		type result struct {
			deletion agent.Deletion
			err      error
		}
		deleted := make(chan result, 1)
		go func() {
			d, err := w.m.Delete(t.Context(), "web", agent.Staging, "owner")
			deleted <- result{d, err}
		}()
		settle()
		w.is(agent.AppDeleting, 1)
		select {
		case r := <-deleted:
			t.Fatalf("done while pods are there: %+v", r)
		default:
		}
		if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, spec("web:2"), "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("deploy while deleting: %v", err)
		}
		w.dropPods()
		r := <-deleted
		want := []string{"deployment/web-staging", "ingress/web-staging", "poddisruptionbudget/web-staging", "secret/web-staging-1", "service/web-staging"}
		if r.err != nil || !slices.Equal(r.deletion.Removed, want) {
			t.Errorf("removed %v, %v", r.deletion.Removed, r.err)
		}
		if some, err := w.m.Occupied(t.Context()); err != nil || some {
			t.Errorf("occupied: %v, %v", some, err)
		}
		if again := w.deployed(spec("web:2")); again.Number != 1 {
			t.Errorf("the new app begins with release %d", again.Number)
		}
		w.is(agent.AppRunning, 1)
	})
}

func TestDeployRefusesBeforeAnythingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		with := func(change func(*agent.Deploy)) agent.Deploy {
			d := spec("web:1")
			change(&d)
			return d
		}
		component := func(change func(*agent.Component)) agent.Deploy {
			return with(func(d *agent.Deploy) { change(&d.Change[0]) })
		}
		tests := map[string]struct {
			app  string
			d    agent.Deploy
			code agent.Code
		}{
			"name":      {"Web_", spec("web:1"), agent.CodeInvalid},
			"image":     {"bad", spec("Not An Image"), agent.CodeInvalidImage},
			"no image":  {"bad", spec(""), agent.CodeInvalidImage},
			"port":      {"bad", component(func(c *agent.Component) { c.Port = 70000 }), agent.CodeInvalid},
			"env":       {"bad", with(func(d *agent.Deploy) { d.Env = map[string]string{"1X": "2"} }), agent.CodeInvalid},
			"hidden":    {"bad", with(func(d *agent.Deploy) { d.Env = map[string]string{"X": agent.HiddenValue} }), agent.CodeInvalid},
			"memory":    {"bad", component(func(c *agent.Component) { c.Memory = "lots" }), agent.CodeInvalid},
			"bytes":     {"bad", component(func(c *agent.Component) { c.Memory = "256" }), agent.CodeInvalid},
			"quota":     {"bad", component(func(c *agent.Component) { c.Memory = "900Gi" }), agent.CodeQuota},
			"cpu quota": {"bad", component(func(c *agent.Component) { c.CPU = "5" }), agent.CodeQuota},
			"host":      {"bad", component(func(c *agent.Component) { c.Host = "a b" }), agent.CodeInvalid},
			"path":      {"bad", component(func(c *agent.Component) { c.Path = "relative" }), agent.CodeInvalid},
			"health":    {"bad", component(func(c *agent.Component) { c.Health = "http://x" }), agent.CodeInvalid},
			"replicas":  {"bad", with(func(d *agent.Deploy) { d.Replicas = map[string]agent.Scale{"app": agent.Fixed(1000)} }), agent.CodePlanLimit},
			"command":   {"bad", component(func(c *agent.Component) { c.Command = []string{""} }), agent.CodeInvalid},
		}
		for name, tt := range tests {
			if _, err := w.m.Deploy(t.Context(), tt.app, agent.Staging, tt.d, "owner"); agent.CodeOf(err) != tt.code {
				t.Errorf("%s: %v, want %s", name, err, tt.code)
			}
		}
		if apps, err := w.m.List(t.Context()); err != nil || len(apps) > 0 {
			t.Errorf("made: %v, %v", apps, err)
		}
		w.deployed(spec("web:1"))
		taken := component(func(c *agent.Component) { c.Host = "web-staging.localhost" })
		if _, err := w.m.Deploy(t.Context(), "thief", agent.Staging, taken, "owner"); agent.CodeOf(err) != agent.CodeConflict {
			t.Errorf("a host that is taken: %v", err)
		}
		w.mu.Lock()
		w.workspace.Status = agent.WorkspaceCreating
		w.mu.Unlock()
		if _, err := w.m.Deploy(t.Context(), "web", agent.Staging, spec("web:2"), "owner"); agent.CodeOf(err) != agent.CodeWorkspaceMissing {
			t.Errorf("no workspace: %v", err)
		}
	})
}

func TestDeployKeepsWhatIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080, Health: "/ok", Memory: "128Mi"}}, Env: map[string]string{"A": "1", "B": "2"}})
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:2"}}})
		open, _, err := w.cfg.Store.OpenRelease(t.Context(), "web", agent.Staging, 2)
		if c := open.Spec.Main(); err != nil || c.Port != 8080 || c.Health != "/ok" || c.Memory != "128Mi" || open.Spec.Env["B"] != "2" {
			t.Errorf("release 2: %+v, %v", open.Spec, err)
		}
		w.deployed(agent.Deploy{Env: map[string]string{"A": agent.HiddenValue, "C": "3"}})
		open, _, err = w.cfg.Store.OpenRelease(t.Context(), "web", agent.Staging, 3)
		if err != nil || open.Kind != "config" || open.Digests["app"] != digestOf('b') || len(open.Spec.Env) != 2 || open.Spec.Env["A"] != "1" {
			t.Errorf("release 3: %+v, %v", open, err)
		}
	})
}

func TestOtherHostIsRoutedOnlyWhenReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		moved := spec("web:2")
		moved.Change[0].Host = "www.example.com"
		w.deploy(moved)
		host := func() string {
			i, err := w.set.NetworkingV1().Ingresses(testNamespace).Get(t.Context(), "web-staging", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return i.Spec.Rules[0].Host
		}
		if got := host(); got != "web-staging.localhost" {
			t.Errorf("host while on its way: %s", got)
		}
		if hosts, err := w.m.Hosts(t.Context()); err != nil || !slices.Equal(hosts, []string{"web-staging.localhost", "www.example.com"}) {
			t.Errorf("hosts %v, %v", hosts, err)
		}
		w.serve(2)
		if got := host(); got != "www.example.com" {
			t.Errorf("host when it serves: %s", got)
		}
		w.is(agent.AppRunning, 2)
	})
}

func TestClusterAwayHoldsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.away("patch")
		w.deploy(spec("web:2"))
		time.Sleep(10 * time.Minute)
		settle()
		if a := w.is(agent.AppUpdating, 1); !strings.Contains(a.Reason, "does not answer") {
			t.Errorf("reason %q", a.Reason)
		}
		w.away("")
		time.Sleep(20 * time.Second)
		settle()
		w.serve(2)
		w.is(agent.AppRunning, 2)
	})
}

func TestProgressOfNoReleaseAndWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(spec("web:1"))
		for _, err := range w.m.Progress(t.Context(), "web", agent.Staging, 7) {
			if agent.CodeOf(err) != agent.CodeNotFound {
				t.Errorf("progress of no release: %v", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		for range w.m.Progress(ctx, "web", agent.Staging, 1) {
			n++
		}
		if n == 0 || ctx.Err() == nil {
			t.Errorf("%d steps, %v", n, ctx.Err())
		}
	})
}

func TestA94AppsAreSeenSoonAfterALateCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.stop()
		w.away("list")
		w.start()
		time.Sleep(10 * time.Minute)
		settle()
		if a := w.is(agent.AppPending, 1); !strings.Contains(a.Reason, "waiting for the cluster") {
			t.Errorf("reason %q", a.Reason)
		}
		w.away("")
		time.Sleep(2 * time.Second)
		settle()
		w.is(agent.AppRunning, 1)
	})
}

func TestClusterAwayAtTheDeadlineFailsNoRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		w.deploy(spec("web:2"))
		w.pod("web-staging-2-0", running)
		w.away("get")
		time.Sleep(20 * time.Minute)
		settle()
		if a := w.is(agent.AppUpdating, 1); !strings.Contains(a.Reason, "does not answer") {
			t.Errorf("reason %q", a.Reason)
		}
		w.away("")
		time.Sleep(time.Minute)
		settle()
		w.is(agent.AppUpdating, 1) // its time began anew
		w.serve(2)
		w.is(agent.AppRunning, 2)
	})
}
