package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchac "k8s.io/client-go/applyconfigurations/batch/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Cluster is the connection to Kubernetes.
type Cluster interface{ Interface() kubernetes.Interface }

// Workspaces tells where the jobs run.
type Workspaces interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Images finds an image: its name for a pull, by digest where that is known.
type Images interface {
	Resolve(ctx context.Context, ref string) (image, digest string, err error)
}

// Apps makes the pod of a command that runs with an app's image and
// environment.
type Apps interface {
	Task(ctx context.Context, app string, env agent.Environment, component string, command []string) (*coreac.PodSpecApplyConfiguration, error)
}

// ContainerConfig is what running containers needs.
type ContainerConfig struct {
	Cluster   Cluster
	Workspace Workspaces
	Images    Images
	Apps      Apps
	Poll      time.Duration // how often a run is looked at; default 1 s
}

// Containers runs commands in pods: each run is a Job of Kubernetes, named by
// the run, so that it is made once.
type Containers struct{ cfg ContainerConfig }

// NewContainers checks the settings.
func NewContainers(cfg ContainerConfig) (*Containers, error) {
	if cfg.Cluster == nil || cfg.Workspace == nil || cfg.Images == nil || cfg.Apps == nil {
		return nil, errors.New("running containers needs a cluster, a workspace, images and apps")
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	return &Containers{cfg}, nil
}

const (
	cronContainer = "job"
	labelCron     = "hks.dev/cron"
	jobKept       = 10 * time.Minute // how long a Job that ended stays to be looked at
	jobTail       = 5000             // lines of its output that are read
	cronCPU       = "500m"
	cronMemory    = "256Mi"
	pullPatience  = 2 * time.Minute // how long an image may fail to be pulled
)

// Check refuses an image or app that is not there.
func (c *Containers) Check(ctx context.Context, t agent.CronTarget) error {
	if t.App != "" {
		_, err := c.cfg.Apps.Task(ctx, t.App, t.Environment, t.Component, t.Command)
		return err
	}
	_, _, err := c.cfg.Images.Resolve(ctx, t.Image)
	return err
}

func jobName(r agent.CronRun) string { return fmt.Sprintf("cron-%s-%d", r.Job, r.ID) }

// Run makes the Job, or finds it, and waits for its end.
func (c *Containers) Run(ctx context.Context, j agent.CronJob, r agent.CronRun) (Outcome, error) {
	for {
		outcome, done, err := c.look(ctx, j, r)
		if ctx.Err() != nil {
			o, _ := c.output(context.WithoutCancel(ctx), r)
			return Outcome{Output: o}, ctx.Err()
		}
		if err != nil && agent.CodeOf(err) != agent.CodeClusterAway {
			return outcome, err
		}
		if done {
			return outcome, nil
		}
		timer := time.NewTimer(c.cfg.Poll)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (c *Containers) look(ctx context.Context, j agent.CronJob, r agent.CronRun) (Outcome, bool, error) {
	workspace, err := c.cfg.Workspace.Current(ctx)
	if err != nil {
		return Outcome{}, false, err
	}
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	doing := "running the cron job " + j.Name
	jobs := c.cfg.Cluster.Interface().BatchV1().Jobs(workspace.Name)
	job, err := jobs.Get(asking, jobName(r), metav1.GetOptions{})
	if known := kube.Explain(doing, err); agent.CodeOf(known) == agent.CodeNotFound {
		return Outcome{}, false, c.make(ctx, workspace, j, r)
	} else if known != nil {
		return Outcome{}, false, known
	}
	pod, err := c.pod(asking, workspace.Name, job.Name)
	if err != nil {
		return Outcome{}, false, err
	}
	switch {
	case ended(job, batchv1.JobComplete):
		output, err := c.output(ctx, r)
		return Outcome{Output: output, ExitCode: exitCode(pod)}, true, err
	case ended(job, batchv1.JobFailed):
		output, err := c.output(ctx, r)
		o := Outcome{Failed: true, Message: "its pod was lost", Output: output, ExitCode: exitCode(pod)}
		if o.ExitCode != nil {
			o.Message = fmt.Sprintf("it ended with exit code %d", *o.ExitCode)
			if reason := terminated(pod).Reason; reason == "OOMKilled" {
				o.Message = "it took more memory than it may and was killed"
			}
		}
		return o, true, err
	}
	if trouble := stuck(pod); trouble != "" {
		return Outcome{Failed: true, Message: trouble}, true, errors.Join(c.End(ctx, j, r))
	}
	return Outcome{}, false, nil
}

// stuck says why a pod will never run.
func stuck(pod *corev1.Pod) string {
	if pod == nil || time.Since(pod.CreationTimestamp.Time) < pullPatience {
		return ""
	}
	for _, status := range pod.Status.ContainerStatuses {
		if w := status.State.Waiting; w != nil && slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}, w.Reason) {
			return fmt.Sprintf("it could not be started: %s (%s)", w.Message, w.Reason)
		}
	}
	return ""
}

func ended(job *batchv1.Job, how batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == how && c.Status == corev1.ConditionTrue })
}

func terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if pod == nil {
		return nil
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Terminated != nil {
			return status.State.Terminated
		}
	}
	return nil
}

func exitCode(pod *corev1.Pod) *int {
	if t := terminated(pod); t != nil {
		code := int(t.ExitCode)
		return &code
	}
	return nil
}

func (c *Containers) pod(ctx context.Context, namespace, job string) (*corev1.Pod, error) {
	pods, err := c.cfg.Cluster.Interface().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	if err != nil {
		return nil, kube.Explain("looking at a cron job's pod", err)
	}
	if len(pods.Items) == 0 {
		return nil, nil
	}
	return &pods.Items[len(pods.Items)-1], nil
}

func (c *Containers) make(ctx context.Context, workspace agent.Workspace, j agent.CronJob, r agent.CronRun) error {
	spec, err := c.podSpec(ctx, workspace, j.Target)
	if err != nil {
		return err
	}
	labels := map[string]string{labelCron: j.Name, agent.LabelManagedBy: agent.ManagedBy, agent.LabelPartOf: workspace.Name}
	left := max(j.Timeout-time.Since(r.StartedAt), time.Second)
	job := batchac.Job(jobName(r), workspace.Name).WithLabels(labels).WithSpec(batchac.JobSpec().
		WithBackoffLimit(0).WithActiveDeadlineSeconds(int64((left + time.Minute).Seconds())). // the agent's own limit comes first
		WithTTLSecondsAfterFinished(int32(jobKept.Seconds())).
		WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).WithSpec(spec.WithRestartPolicy(corev1.RestartPolicyNever))))
	_, err = kube.Apply(ctx, c.cfg.Cluster.Interface().BatchV1().Jobs(workspace.Name), "running the cron job "+j.Name, job)
	return err
}

func (c *Containers) podSpec(ctx context.Context, workspace agent.Workspace, t agent.CronTarget) (*coreac.PodSpecApplyConfiguration, error) {
	if t.App != "" {
		return c.cfg.Apps.Task(ctx, t.App, t.Environment, t.Component, t.Command)
	}
	image, _, err := c.cfg.Images.Resolve(ctx, t.Image)
	if err != nil {
		return nil, err
	}
	security := coreac.SecurityContext().WithAllowPrivilegeEscalation(false)
	pod := coreac.PodSecurityContext().WithSeccompProfile(coreac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if workspace.PodLevel == "restricted" {
		pod.WithRunAsNonRoot(true)
		security.WithCapabilities(coreac.Capabilities().WithDrop("ALL"))
	}
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cronCPU), corev1.ResourceMemory: resource.MustParse(cronMemory)}
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	container := coreac.Container().WithName(cronContainer).WithImage(image).WithSecurityContext(security).
		WithResources(coreac.ResourceRequirements().WithLimits(limits).WithRequests(requests))
	if len(t.Command) > 0 {
		container.WithCommand(t.Command...)
	}
	return coreac.PodSpec().WithAutomountServiceAccountToken(false).WithEnableServiceLinks(false).WithTerminationGracePeriodSeconds(10).
		WithSecurityContext(pod).WithContainers(container), nil
}

// output reads what a run printed, as far as it is still to be had.
func (c *Containers) output(ctx context.Context, r agent.CronRun) ([]byte, error) {
	workspace, err := c.cfg.Workspace.Current(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	pod, err := c.pod(ctx, workspace.Name, jobName(r))
	if err != nil || pod == nil {
		return nil, err
	}
	tail := int64(jobTail)
	stream, err := c.cfg.Cluster.Interface().CoreV1().Pods(workspace.Name).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: &tail}).Stream(ctx)
	if err != nil {
		return nil, nil // it never started, so it printed nothing
	}
	defer func() { _ = stream.Close() }() // only read
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(stream, 4<<20)); err != nil {
		return nil, kube.Explain("reading a cron job's output", err)
	}
	return out.Bytes(), nil
}

// End removes the Job with its pod.
func (c *Containers) End(ctx context.Context, j agent.CronJob, r agent.CronRun) error {
	workspace, err := c.cfg.Workspace.Current(ctx)
	if err != nil {
		return err
	}
	return kube.Delete(ctx, c.cfg.Cluster.Interface().BatchV1().Jobs(workspace.Name), "ending a run of "+j.Name, jobName(r))
}
