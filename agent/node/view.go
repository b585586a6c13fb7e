package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// lookWithin bounds a look at all nodes.
const lookWithin = 15 * time.Second

// List tells of all nodes, the appliance's own first.
func (m *Manager) List(ctx context.Context) ([]agent.Node, error) {
	rows, err := m.cfg.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	nodes, pods, err := m.observe(ctx)
	if err != nil {
		return nil, err
	}
	var list []agent.Node
	for _, node := range nodes {
		index := slices.IndexFunc(rows, func(row store.Node) bool { return row.Name == node.Name })
		var row *store.Node
		if index >= 0 {
			row = &rows[index]
		}
		list = append(list, m.view(&node, row, pods[node.Name]))
	}
	for _, row := range rows {
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return node.Name == row.Name }) {
			list = append(list, fromRow(row))
		}
	}
	if own := slices.IndexFunc(list, func(n agent.Node) bool { return n.Own }); own >= 0 {
		for i := range list {
			list[i].Skewed = list[i].Version != "" && list[i].Version != list[own].Version
		}
	}
	slices.SortFunc(list, func(a, b agent.Node) int {
		if a.Own != b.Own {
			if a.Own {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return list, nil
}

// Show tells of one node.
func (m *Manager) Show(ctx context.Context, name string) (agent.Node, error) {
	all, err := m.List(ctx)
	if err != nil {
		return agent.Node{}, err
	}
	for _, node := range all {
		if node.Name == name {
			return node, nil
		}
	}
	return agent.Node{}, notFound(name)
}

// observe reads the nodes, and the workspace's pods by their node.
func (m *Manager) observe(ctx context.Context) ([]corev1.Node, map[string][]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	client := m.cfg.Cluster.Interface().CoreV1()
	nodes, err := client.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, kube.Explain("reading the nodes", err)
	}
	byNode := map[string][]corev1.Pod{}
	workspace, err := m.cfg.Workspaces.Current(ctx)
	if agent.CodeOf(err) == agent.CodeNotFound || agent.CodeOf(err) == agent.CodeWorkspaceMissing {
		return nodes.Items, byNode, nil
	}
	if err != nil {
		return nil, nil, err
	}
	pods, err := client.Pods(workspace.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, kube.Explain("reading the pods", err)
	}
	for _, pod := range pods.Items {
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && pod.Spec.NodeName != "" {
			byNode[pod.Spec.NodeName] = append(byNode[pod.Spec.NodeName], pod)
		}
	}
	return nodes.Items, byNode, nil
}

// fromRow tells of a machine that is no node yet.
func fromRow(row store.Node) agent.Node {
	return agent.Node{
		Name: row.Name, Pool: agent.PoolDedicated, Status: row.Status, Message: row.Message, Fix: row.Fix,
		CreatedAt: row.CreatedAt.UTC(), Steps: row.Steps, Pods: []agent.Placed{},
	}
}

// view tells of a node of the cluster.
func (m *Manager) view(node *corev1.Node, row *store.Node, pods []corev1.Pod) agent.Node {
	v := agent.Node{
		Name: node.Name, Pool: cmp.Or(node.Labels[agent.LabelNodePool], agent.PoolShared), Own: node.Name == m.cfg.Own,
		Cordoned: node.Spec.Unschedulable, Version: node.Status.NodeInfo.KubeletVersion, CreatedAt: node.CreationTimestamp.UTC(),
		Status: agent.NodeReady, Pods: []agent.Placed{},
		CPU:    agent.Capacity{Allocatable: node.Status.Allocatable.Cpu().MilliValue()},
		Memory: agent.Capacity{Allocatable: node.Status.Allocatable.Memory().Value()},
	}
	v.Address = addressOf(node)
	ready := readiness(node)
	v.LastHeard = ready.LastHeartbeatTime.UTC()
	if ready.Status != corev1.ConditionTrue {
		v.Status, v.Message = agent.NodeFailed, words(ready)
		v.Fix = "see that the machine runs and reaches this one; it comes back by itself"
	}
	if row != nil {
		v.Steps = row.Steps
		switch row.Status {
		case agent.NodeDraining, agent.NodeRemoving:
			v.Status, v.Message, v.Fix = row.Status, row.Message, row.Fix
		case agent.NodeProvisioning:
			v.Status, v.Message = row.Status, row.Message
		case agent.NodeReady, agent.NodeFailed: // what is observed counts
		}
	}
	for _, pod := range pods {
		v.Pods = append(v.Pods, placed(&pod))
		for _, container := range pod.Spec.Containers {
			v.CPU.Requested += container.Resources.Requests.Cpu().MilliValue()
			v.Memory.Requested += container.Resources.Requests.Memory().Value()
		}
	}
	slices.SortFunc(v.Pods, func(a, b agent.Placed) int { return strings.Compare(a.Name, b.Name) })
	return v
}

func placed(pod *corev1.Pod) agent.Placed {
	p := agent.Placed{Name: pod.Name, App: pod.Labels[agent.LabelApp], Environment: agent.Environment(pod.Labels[agent.LabelEnvironment])}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			p.Ready = condition.Status == corev1.ConditionTrue
		}
	}
	return p
}

func readiness(node *corev1.Node) corev1.NodeCondition {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition
		}
	}
	return corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "it has not reported yet"}
}

// words says in plain words why a node is not ready.
func words(condition corev1.NodeCondition) string {
	if condition.Status == corev1.ConditionUnknown && condition.Reason == "NodeStatusUnknown" {
		return "it is not heard of since " + condition.LastHeartbeatTime.UTC().Format(time.RFC3339)
	}
	return cmp.Or(condition.Message, "it is not ready")
}

func addressOf(node *corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return ""
}

// Disks tells where a machine that has joined serves its disks and by which
// certificate it is known. CodeNotFound: it is gone, or serves none.
func (m *Manager) Disks(ctx context.Context, name string) (address, certificate string, err error) {
	row, ok, err := m.cfg.Store.Node(ctx, name)
	if err != nil {
		return "", "", err
	}
	if !ok || row.Disks == "" {
		return "", "", agent.Errorf(agent.CodeNotFound, "remove it and let it join again with: hks node add NAME; hks node list shows the nodes",
			"%s has no disks for volumes: it is gone, or it joined before nodes had any", name)
	}
	node, err := m.find(ctx, name)
	if agent.CodeOf(err) == agent.CodeNotFound { // its machine may come back
		return "", "", agent.Errorf(agent.CodeClusterAway, "see hks node show "+name, "%s is not in the cluster", name)
	}
	if err != nil {
		return "", "", err
	}
	return addressOf(node), row.Disks, nil
}
