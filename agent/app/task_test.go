package app

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"hks.dev/hks/agent"
)

// migrating deploys an app whose API has a release command.
func migrating(api string) agent.Deploy {
	d := whole(api, "web:1")
	d.Components[1].Release = []string{"./migrate", "up"}
	return d
}

func (w *world) job(name string) *batchv1.Job {
	w.t.Helper()
	job, err := w.set.BatchV1().Jobs(testNamespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

func (w *world) noJob(name string) {
	w.t.Helper()
	if _, err := w.set.BatchV1().Jobs(testNamespace).Get(w.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		w.t.Errorf("job %s: %v", name, err)
	}
}

// endJob marks a Job as its controller would, and lets the worker look again.
func (w *world) endJob(name string, how batchv1.JobConditionType, reason string) {
	w.t.Helper()
	job := w.job(name).DeepCopy()
	job.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue, Reason: reason}}
	if _, err := w.set.BatchV1().Jobs(testNamespace).UpdateStatus(w.t.Context(), job, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(2 * taskLook)
	settle()
}

// jobPod makes the pod of a Job, ended with the code.
func (w *world) jobPod(job string, code int32) {
	w.t.Helper()
	template := w.job(job).Spec.Template
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: job + "-x", Namespace: testNamespace, Labels: template.Labels}, Spec: *template.Spec.DeepCopy()}
	p.Labels[batchv1.JobNameLabel] = job
	ended(code, "Error", "")(p)
	if _, err := w.set.CoreV1().Pods(testNamespace).Create(w.t.Context(), p, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// made counts how often Jobs were made.
func (w *world) made() int {
	n := 0
	for _, action := range w.set.Actions() {
		if action.Matches("patch", "jobs") || action.Matches("create", "jobs") {
			n++
		}
	}
	return n
}

func TestReleaseCommandEndsBeforeTheReleaseServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		w.deploy(migrating("api:2"))
		job := w.job("web-staging-2-api")
		c := job.Spec.Template.Spec.Containers[0]
		if c.Image != "registry.hks.internal/api@"+digestOf('e') || strings.Join(c.Command, " ") != "./migrate up" || *job.Spec.BackoffLimit != 0 ||
			job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever || job.Spec.Template.Labels[agent.LabelApp] != "" || c.StartupProbe != nil {
			t.Errorf("job: %+v", job.Spec)
		}
		if _, err := w.set.CoreV1().Secrets(testNamespace).Get(t.Context(), "web-staging-2", metav1.GetOptions{}); err != nil {
			t.Errorf("secret: %v", err)
		}
		time.Sleep(10 * time.Minute) // longer than a release may make no progress
		settle()
		for _, component := range []string{"api", "web", "worker"} {
			w.showsOf(component, 1, 1)
		}
		a := w.is(agent.AppUpdating, 1)
		if len(a.Instances) != 3 {
			t.Errorf("instances: %+v", a.Instances)
		}
		w.endJob("web-staging-2-api", batchv1.JobComplete, "")
		w.serveWhole(2)
		w.is(agent.AppRunning, 2)
		if n := w.made(); n != 1 {
			t.Errorf("the command was run %d times", n)
		}
		if steps := w.steps(2); !strings.Contains(strings.Join(steps, " "), "resolve release release apply") {
			t.Errorf("steps: %v", steps)
		}
	})
}

func TestReleaseCommandThatFailsFailsTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(whole("api:1", "web:1"))
		w.serveWhole(1)
		w.deploy(migrating("api:2"))
		w.jobPod("web-staging-2-api", 3)
		w.endJob("web-staging-2-api", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
		r := w.release(2)
		if r.Status != agent.ReleaseFailed || r.Failure.ExitCode == nil || *r.Failure.ExitCode != 3 || len(r.Failure.Logs) == 0 || r.Failure.Fix == "" ||
			!strings.Contains(r.Failure.Message, "the release command of api failed with exit code 3") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		w.is(agent.AppError, 1)
		for _, component := range []string{"api", "web", "worker"} {
			w.showsOf(component, 1, 1)
		}
		for _, action := range w.set.Actions() {
			patch, ok := action.(clienttesting.PatchAction)
			if ok && action.Matches("patch", "deployments") && strings.Contains(string(patch.GetPatch()), `"`+agent.LabelRelease+`":"2"`) {
				t.Errorf("a Deployment was made for the failed release: %s", patch.GetName())
			}
		}
	})
}

func TestFirstReleaseCommandThatFailsLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(migrating("api:1"))
		time.Sleep(taskMost)
		w.endJob("web-staging-1-api", batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
		if r := w.release(1); r.Status != agent.ReleaseFailed || !strings.Contains(r.Failure.Message, "did not end within 15m0s") {
			t.Errorf("release: %+v %+v", r, r.Failure)
		}
		w.is(agent.AppError, 0)
		w.gone("api")
		w.gone("web")
	})
}

func TestA96ReleaseCommandIsNotRunTwice(t *testing.T) {
	for _, when := range []string{"it runs", "it ended"} {
		t.Run("killed while "+when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.deploy(migrating("api:1"))
				w.stop()
				if when == "it ended" {
					w.endJob("web-staging-1-api", batchv1.JobComplete, "")
				}
				w.start()
				settle()
				if when == "it runs" {
					w.is(agent.AppDeploying, 0)
					w.gone("api")
					w.endJob("web-staging-1-api", batchv1.JobComplete, "")
				}
				w.serveWhole(1)
				w.is(agent.AppRunning, 1)
				if n := w.made(); n != 1 {
					t.Errorf("the command was run %d times", n)
				}
			})
		})
	}
}

func TestReleaseCommandsRunOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := migrating("api:1")
		d.Components[0].Release = []string{"./warm"}
		w.deploy(d)
		w.job("web-staging-1-api")
		w.noJob("web-staging-1-web")
		w.endJob("web-staging-1-api", batchv1.JobComplete, "")
		w.job("web-staging-1-web")
		w.gone("web")
		w.endJob("web-staging-1-web", batchv1.JobComplete, "")
		w.serveWhole(1)
		w.is(agent.AppRunning, 1)
	})
}

func TestA19DeleteWaitsForTheJobsOfReleaseCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy(migrating("api:1"))
		w.set.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, nil // in the foreground: it goes after its pods
		})
		deleted := make(chan error, 1)
		go func() {
			_, err := w.m.Delete(t.Context(), "web", agent.Staging, "owner")
			deleted <- err
		}()
		time.Sleep(3 * removePause)
		settle()
		select {
		case err := <-deleted:
			t.Fatalf("deleted while a Job is there: %v", err)
		default:
		}
		if err := w.set.Tracker().Delete(batchv1.SchemeGroupVersion.WithResource("jobs"), testNamespace, "web-staging-1-api"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * removePause)
		if err := <-deleted; err != nil {
			t.Error(err)
		}
	})
}
