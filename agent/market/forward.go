package market

import (
	"context"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Find tells where a connection to the service goes: its ready instance.
func (m *Manager) Find(ctx context.Context, name string) (agent.InstanceTarget, error) {
	s, err := m.installed(ctx, name)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	chart, err := m.catalogue.of(s)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	pod, err := m.awaitReady(ctx, namespace, selectorOf(name), 10*time.Second)
	if err != nil {
		return agent.InstanceTarget{}, err
	}
	return agent.InstanceTarget{Instance: pod.Name, Container: pod.Spec.Containers[0].Name, Port: portOf(chart)}, nil
}

// Dial connects to an instance that Find found.
func (m *Manager) Dial(ctx context.Context, target agent.InstanceTarget) (agent.Tunnel, error) {
	return m.cfg.Shell.Dial(ctx, target)
}

// Test runs the chart's own test: a client that logs in as an app does.
func (m *Manager) Test(ctx context.Context, name string) error {
	if _, err := m.installed(ctx, name); err != nil {
		return err
	}
	namespace, err := m.namespace(ctx)
	if err != nil {
		return err
	}
	failed := m.cfg.Helm.Test(ctx, namespace, name)
	if failed == nil {
		return nil
	}
	words := m.lastWords(ctx, namespace, labels.Set{batchv1.JobNameLabel: name + "-test"})
	return agent.Errorf(agent.CodeConflict, "see its state: hks market show "+name, "a client that logs in to %s as an app does fails: %s (%w)", name, words, failed)
}

// lastWords are the last lines that a pod printed.
func (m *Manager) lastWords(ctx context.Context, namespace string, selector labels.Set) string {
	pods, err := m.pods(ctx, namespace, selector)
	if err != nil || len(pods) == 0 {
		return "it left no words"
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	lines := int64(5)
	text, err := m.cfg.Cluster.Interface().CoreV1().Pods(namespace).GetLogs(pods[0].Name, &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx)
	if err != nil {
		return reasonOf(&pods[0])
	}
	return strings.Join(strings.Split(strings.TrimSpace(string(text)), "\n"), "; ")
}
