package market

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

const (
	pullLimit = 2 * time.Minute
	undoLimit = 2 * time.Minute
	podWait   = time.Second // between two looks
	maxTold   = 64 << 10    // bytes kept of what a program says
)

// program is the entry point of the engines' images (packaging/images/service).
const program = "hks-service"

// pods lists the pods of a service, or of a scratch instance.
func (m *Manager) pods(ctx context.Context, namespace string, selector labels.Set) ([]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	list, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, kube.Explain("looking for the instance", err)
	}
	return list.Items, nil
}

func selectorOf(name string) labels.Set { return labels.Set{agent.LabelInstance: name} }

// ready finds the ready pod of a service.
func (m *Manager) ready(ctx context.Context, namespace string, selector labels.Set) (corev1.Pod, bool, error) {
	pods, err := m.pods(ctx, namespace, selector)
	for _, pod := range pods {
		if podReady(&pod) {
			return pod, true, nil
		}
	}
	return corev1.Pod{}, false, err
}

func podReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// awaitReady waits until a pod is ready, and says what it waited for when the
// time is over.
func (m *Manager) awaitReady(ctx context.Context, namespace string, selector labels.Set, limit time.Duration) (corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := time.NewTicker(podWait)
	defer pause.Stop()
	for {
		pod, ok, err := m.ready(ctx, namespace, selector)
		if ok || (err != nil && ctx.Err() == nil) {
			return pod, err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			why := "there is no instance"
			if pods, err := m.pods(context.WithoutCancel(ctx), namespace, selector); err == nil && len(pods) > 0 {
				why = reasonOf(&pods[0])
			}
			return corev1.Pod{}, agent.Errorf(agent.CodeConflict, "wait until it runs: hks market list", "the instance did not get ready within %s: %s", limit, why)
		}
	}
}

// reasonOf says in plain words why a pod is not ready.
func reasonOf(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "it waits for room or its volume: " + c.Message
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" && c.LastTerminationState.Terminated != nil:
			return fmt.Sprintf("it crashes with exit code %d", c.LastTerminationState.Terminated.ExitCode)
		case c.State.Waiting != nil && c.State.Waiting.Message != "":
			return c.State.Waiting.Reason + ": " + c.State.Waiting.Message
		case c.State.Waiting != nil:
			return c.State.Waiting.Reason
		case c.State.Terminated != nil:
			return fmt.Sprintf("it ended with exit code %d", c.State.Terminated.ExitCode)
		}
	}
	return "it is starting"
}

// withReason adds to an error of Helm's what the pods say.
func (m *Manager) withReason(ctx context.Context, namespace, name string, err error) error {
	e, ok := errors.AsType[*agent.Error](err)
	if !ok || e.Code != agent.CodeRollout {
		return err
	}
	pods, failed := m.pods(context.WithoutCancel(ctx), namespace, selectorOf(name))
	if failed != nil || len(pods) == 0 {
		return err
	}
	told := *e
	told.Message += " (" + reasonOf(&pods[0]) + ")"
	return &told
}

// inside runs the engine's program in a pod and returns what it told on
// standard error. Its exit is the success.
func (m *Manager) inside(ctx context.Context, pod corev1.Pod, engine string, in io.Reader, out io.Writer, verb ...string) (string, error) {
	if len(pod.Spec.Containers) == 0 {
		return "", fmt.Errorf("pod %s has no container", pod.Name)
	}
	if out == nil {
		out = io.Discard
	}
	var told tail
	target := agent.InstanceTarget{Instance: pod.Name, Container: pod.Spec.Containers[0].Name}
	run := agent.Exec{Command: append([]string{program, engine}, verb...), Stdin: in != nil}
	code, err := m.cfg.Shell.Exec(ctx, target, run, agent.ExecStreams{Stdin: in, Stdout: out, Stderr: &told})
	if err != nil {
		return told.String(), err
	}
	if code != 0 {
		words := strings.TrimPrefix(strings.TrimSpace(told.String()), "error: ")
		return told.String(), agent.Errorf(agent.CodeConflict, "see the instance's own words: hks market show "+pod.Labels[agent.LabelInstance], "%s ended with exit code %d: %s", verb[0], code, words)
	}
	return told.String(), nil
}

// serve runs the engine's program in the running instance.
func (m *Manager) serve(ctx context.Context, namespace string, s store.Service, in io.Reader, out io.Writer, verb ...string) (string, error) {
	pod, err := m.awaitReady(ctx, namespace, selectorOf(s.Name), time.Minute)
	if err != nil {
		return "", err
	}
	return m.inside(ctx, pod, s.Engine, in, out, verb...)
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

// Write takes p; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if extra := t.Len() - maxTold; extra > 0 {
		t.Next(extra)
	}
	return n, err
}
