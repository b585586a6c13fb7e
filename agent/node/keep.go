package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// keep looks at the nodes again and again, and when something was asked for:
// what is wanted is in the rows, so an interrupted drain or removal goes on.
func (m *Manager) keep(ctx context.Context) {
	tick := time.NewTicker(m.cfg.Poll)
	defer tick.Stop()
	for {
		if err := m.pass(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.WarnContext(ctx, "looking after the nodes", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.wake:
		}
	}
}

func (m *Manager) pass(ctx context.Context) error {
	rows, err := m.cfg.Store.Nodes(ctx)
	if err != nil || len(rows) == 0 {
		return err // the appliance's own node needs no looking after
	}
	nodes, pods, err := m.observe(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		var node *corev1.Node
		if index := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == row.Name }); index >= 0 {
			node = &nodes[index]
		}
		if err := m.tend(ctx, row, node, !others(rows, row.Name), pods[row.Name]); err != nil {
			errs = append(errs, fmt.Errorf("the node %s: %w", row.Name, err))
		}
	}
	return errors.Join(errs...)
}

// others tells whether another dedicated node takes workloads.
func others(rows []store.Node, name string) bool {
	return slices.ContainsFunc(rows, func(row store.Node) bool { return row.Name != name && row.Status == agent.NodeReady })
}

// tend brings one node nearer to what is wanted of it.
func (m *Manager) tend(ctx context.Context, row store.Node, node *corev1.Node, last bool, pods []corev1.Pod) error {
	switch {
	case row.Status == agent.NodeRemoving && node == nil:
		return m.forget(ctx, row)
	case node == nil && row.Status == agent.NodeProvisioning && !m.cfg.Now().Before(row.ExpiresAt):
		return m.set(ctx, row, agent.NodeFailed, "the invitation has expired before the machine was a node", "make a new one with: hks node add "+row.Name)
	case node == nil && (row.Status == agent.NodeReady || row.Status == agent.NodeDraining):
		return m.set(ctx, row, agent.NodeFailed, "it is gone from the cluster", "let it join again with: hks node add "+row.Name)
	case node == nil:
		return nil
	}
	if err := m.mark(ctx, node); err != nil {
		return err
	}
	ready := readiness(node).Status == corev1.ConditionTrue
	switch row.Status {
	case agent.NodeProvisioning, agent.NodeFailed:
		if ready {
			m.cfg.Changed()
			m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + row.Name, Message: row.Name + " is ready", By: row.By})
			return m.set(ctx, row, agent.NodeReady, "", "")
		}
	case agent.NodeReady:
		if !ready && m.cfg.Now().Sub(readiness(node).LastHeartbeatTime.Time) >= m.cfg.Silence {
			m.cfg.Record(ctx, agent.Activity{Level: "error", Subject: "node/" + row.Name, Message: fmt.Sprintf("%s: %s; on it are %s", row.Name, words(readiness(node)), affected(pods))})
			return m.set(ctx, row, agent.NodeFailed, words(readiness(node)), "see that the machine runs and reaches this one; it comes back by itself")
		}
	case agent.NodeDraining, agent.NodeRemoving:
		return m.empty(ctx, row, node, last, pods)
	}
	return nil
}

// affected names the apps of pods.
func affected(pods []corev1.Pod) string {
	var names []string
	for _, pod := range pods {
		name := pod.Name
		if app := pod.Labels[agent.LabelApp]; app != "" {
			name = app + "/" + pod.Labels[agent.LabelEnvironment]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "no workloads"
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}

func (m *Manager) set(ctx context.Context, row store.Node, status agent.NodeStatus, message, fix string) error {
	if row.Status == status && row.Message == message && row.Fix == fix {
		return nil
	}
	_, err := m.change(ctx, row.Name, func(now *store.Node) error {
		if now.Status == row.Status { // nobody has asked for something else meanwhile
			now.Status, now.Message, now.Fix = status, message, fix
		}
		return nil
	})
	return err
}

// mark puts the label and the taint of a dedicated node where they are
// missing: k3s counts the taint at the first registration only.
func (m *Manager) mark(ctx context.Context, node *corev1.Node) error {
	workspace, err := m.cfg.Workspaces.Current(ctx)
	if err != nil {
		return err
	}
	want := corev1.Taint{Key: agent.TaintDedicated, Value: workspace.Name, Effect: corev1.TaintEffectNoSchedule}
	taints := slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(t corev1.Taint) bool { return t.Key == want.Key && t != want })
	tainted := slices.Contains(taints, want)
	if tainted && len(taints) == len(node.Spec.Taints) && node.Labels[agent.LabelNodePool] == agent.PoolDedicated {
		return nil
	}
	if !tainted {
		taints = append(taints, want)
	}
	return m.patch(ctx, node, map[string]any{
		"metadata": map[string]any{"resourceVersion": node.ResourceVersion, "labels": map[string]any{agent.LabelNodePool: agent.PoolDedicated}},
		"spec":     map[string]any{"taints": taints},
	})
}

func (m *Manager) patch(ctx context.Context, node *corev1.Node, change map[string]any) error {
	data, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encoding a node's change: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err = m.cfg.Cluster.Interface().CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: agent.FieldManager})
	return kube.Explain("changing the node "+node.Name, err)
}

func (m *Manager) cordon(ctx context.Context, node *corev1.Node, on bool) error {
	if node.Spec.Unschedulable == on {
		return nil
	}
	return m.patch(ctx, node, map[string]any{"spec": map[string]any{"unschedulable": on}})
}

// empty moves the workloads off a node; when none is left the node is drained,
// or removed if that was asked for.
func (m *Manager) empty(ctx context.Context, row store.Node, node *corev1.Node, last bool, pods []corev1.Pod) error {
	if err := m.cordon(ctx, node, true); err != nil {
		return err
	}
	moving, err := m.cfg.Evacuate(ctx, row.Name, last, row.By)
	if err != nil {
		fix := ""
		if known, ok := errors.AsType[*agent.Error](err); ok {
			fix = known.Fix
		}
		return errors.Join(err, m.set(ctx, row, row.Status, err.Error(), fix))
	}
	if len(moving) > 0 {
		return m.set(ctx, row, row.Status, "moves back to the shared pool: "+strings.Join(moving, ", "), "")
	}
	lost := readiness(node).Status != corev1.ConditionTrue
	if len(pods) > 0 && !(lost && row.Status == agent.NodeRemoving) {
		waits, err := m.evict(ctx, pods)
		if err != nil {
			return err
		}
		return m.set(ctx, row, row.Status, fmt.Sprintf("%d of its workloads still run on it%s", len(pods), waits), "")
	}
	if row.Status == agent.NodeDraining {
		return m.set(ctx, row, row.Status, "nothing of the workspace is on it any more", "take it back with: hks node resume "+row.Name+", or remove it with: hks node remove "+row.Name)
	}
	if err := kube.Delete(ctx, m.cfg.Cluster.Interface().CoreV1().Nodes(), "removing the node "+node.Name, node.Name); err != nil {
		return err
	}
	return m.forget(ctx, row)
}

// evict asks for each pod to go, within what disruption budgets allow.
func (m *Manager) evict(ctx context.Context, pods []corev1.Pod) (string, error) {
	held := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
		err := m.cfg.Cluster.Interface().PolicyV1().Evictions(pod.Namespace).Evict(limited, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
		})
		cancel()
		switch {
		case err == nil || apierrors.IsNotFound(err):
		case apierrors.IsTooManyRequests(err):
			held++
		default:
			return "", kube.Explain("moving "+pod.Name+" off the node", err)
		}
	}
	if held > 0 {
		return fmt.Sprintf(", %d wait until others of their app are ready", held), nil
	}
	return "", nil
}

func (m *Manager) forget(ctx context.Context, row store.Node) error {
	if err := m.cfg.Store.DeleteNode(ctx, row.Name); err != nil {
		return err
	}
	m.cfg.Changed()
	m.cfg.Publish("node", row.Name, nil)
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + row.Name, Message: row.Name + " was removed", By: row.By})
	return nil
}
