package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchac "k8s.io/client-go/applyconfigurations/batch/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

const (
	// labelTask marks the pods of release commands, which are none of the app's
	// instances.
	labelTask = "hks.dev/task"

	taskLook = time.Second      // between two looks at a command that runs
	taskKept = 24 * time.Hour   // how long a command that ended stays to be looked at
	taskMost = 15 * time.Minute // how long a command may run, its pull included
)

// taskName is that of the Job of a component's release command.
func (p part) taskName() string {
	return agent.ReleaseName(p.key.app, p.key.env, p.release.Number) + "-" + p.component.Name
}

// task runs the component's release command once, in a pod like its own.
func (p part) task() *batchac.JobApplyConfiguration {
	labels := p.releaseLabels()
	delete(labels, agent.LabelApp) // not an instance of the app
	labels[labelTask] = "release"
	pod := p.pod().WithRestartPolicy(corev1.RestartPolicyNever)
	pod.Containers = []coreac.ContainerApplyConfiguration{*p.container().WithCommand(p.component.Release...)}
	return batchac.Job(p.taskName(), p.namespace).WithLabels(p.releaseLabels()).
		WithSpec(batchac.JobSpec().WithBackoffLimit(0).
			WithActiveDeadlineSeconds(int64(taskMost.Seconds())).
			WithTTLSecondsAfterFinished(int32(taskKept.Seconds())).
			WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).WithSpec(pod)))
}

// runCommands runs the release commands of the components, one after the
// other, before anything of the new release serves. A Job is known by the
// number of the release, so each command runs once, whatever dies meanwhile.
func (w *worker) runCommands(ctx context.Context, state store.AppState, r *rollout, g goal, at place) (wait time.Duration, done bool, err error) {
	if r.commanded {
		return 0, true, nil
	}
	if left, err := w.endCommands(ctx, at, r.release.Number); left || err != nil {
		return taskLook, false, err
	}
	d, err := w.desired(ctx, r.release, g, state, at)
	if err != nil {
		return never, false, err
	}
	for _, p := range d.parts() {
		// What an earlier release's command would do to data that a later one has
		// changed nobody knows: a rollback brings back what serves, not data.
		if len(p.component.Release) == 0 || r.release.Kind == kindRollback {
			continue
		}
		if err := w.start(ctx, state); err != nil {
			return never, false, err
		}
		if wait, done, err = w.runCommand(ctx, state, r, p, at); !done || err != nil {
			return wait, false, err
		}
	}
	r.commanded = true
	return 0, true, nil
}

// endCommands ends what still runs for releases before this one, and tells
// whether any was left: two commands of one app never run at a time.
func (w *worker) endCommands(ctx context.Context, at place, number int) (left bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	const doing = "ending the release command of an earlier release"
	jobs := w.m.cfg.Cluster.Interface().BatchV1().Jobs(at.namespace)
	list, err := jobs.List(ctx, metav1.ListOptions{LabelSelector: w.selector()})
	if err != nil {
		return false, kube.Explain(doing, err)
	}
	for i := range list.Items {
		job := &list.Items[i]
		if releaseOf(job.Labels) >= number || jobIs(job, batchv1.JobComplete) || jobIs(job, batchv1.JobFailed) {
			continue
		}
		left = true
		foreground := metav1.DeletePropagationForeground // gone only after its pod is
		err := jobs.Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &foreground})
		if err := kube.IgnoreNotFound(kube.Explain(doing, err)); err != nil {
			return true, err
		}
	}
	return left, nil
}

func (w *worker) runCommand(ctx context.Context, state store.AppState, r *rollout, p part, at place) (wait time.Duration, done bool, err error) {
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	doing := "running the release command of " + p.component.Name
	set := w.m.cfg.Cluster.Interface()
	job, err := set.BatchV1().Jobs(p.namespace).Get(asking, p.taskName(), metav1.GetOptions{})
	if err := kube.Explain(doing, err); agent.CodeOf(err) == agent.CodeNotFound {
		w.step(r, "release", doing)
		if err := errors.Join(w.applySecret(ctx, p.desired, doing), w.applyClaims(ctx, p.desired)); err != nil {
			return never, false, err
		}
		_, err := kube.Apply(ctx, set.BatchV1().Jobs(p.namespace), doing, p.task())
		return taskLook, false, err
	} else if err != nil {
		return never, false, err
	}
	switch {
	case jobIs(job, batchv1.JobComplete):
		w.step(r, "release", "the release command of "+p.component.Name+" ended well")
		return 0, true, nil
	case jobIs(job, batchv1.JobFailed):
		t, err := w.commandTrouble(asking, p, job)
		if err != nil {
			return never, false, err
		}
		return 0, false, w.fail(ctx, state, r, t, at)
	}
	r.since = w.m.cfg.Now() // it has a deadline of its own
	pods, err := w.podsOf(asking, job)
	if err != nil {
		return never, false, err
	}
	for i := range pods {
		if status := containerStatus(&pods[i]); status != nil && status.State.Waiting == nil {
			continue // it runs, or has ended and the Job is about to say how
		}
		l := examine(view{}, &pods[i], p.component)
		w.step(r, "release", doing+": "+l.message)
		if t := l.trouble; t != nil && t.patience == 0 {
			return 0, false, w.fail(ctx, state, r, t, at)
		}
	}
	return taskLook, false, nil
}

func (w *worker) podsOf(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	pods, err := w.m.cfg.Cluster.Interface().CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
	if err != nil {
		return nil, kube.Explain("looking at a release command", err)
	}
	return pods.Items, nil
}

func jobIs(job *batchv1.Job, how batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == how && c.Status == corev1.ConditionTrue
	})
}

// commandTrouble says how a release command failed.
func (w *worker) commandTrouble(ctx context.Context, p part, job *batchv1.Job) (*trouble, error) {
	t := &trouble{kind: troubleCrash, code: agent.CodeRollout, message: "the release command of " + p.component.Name + " failed",
		fix: "see its last lines, mend it and deploy again"}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Reason == batchv1.JobReasonDeadlineExceeded {
			t.message = fmt.Sprintf("the release command of %s did not end within %s", p.component.Name, taskMost)
		}
	}
	pods, err := w.podsOf(ctx, job)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		pod := &pods[i]
		if status := containerStatus(pod); status != nil && status.State.Terminated != nil {
			code := int(status.State.Terminated.ExitCode)
			t.pod, t.exitCode = pod.Name, &code
			t.message += fmt.Sprintf(" with exit code %d", code)
		}
	}
	return t, nil
}
