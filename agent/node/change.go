package node

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Drain begins to move the workloads off a node; no new ones come to it.
func (m *Manager) Drain(ctx context.Context, name, by string) (agent.Node, error) {
	return m.ask(ctx, name, by, agent.NodeDraining, "begins to move its workloads elsewhere", name+" is being drained")
}

// Remove drains a node and takes it out of the cluster. An invitation that
// nobody used is taken back.
func (m *Manager) Remove(ctx context.Context, name, by string) (agent.Node, error) {
	return m.ask(ctx, name, by, agent.NodeRemoving, "begins to move its workloads elsewhere", name+" is being removed")
}

// Resume lets workloads come to a drained node again.
func (m *Manager) Resume(ctx context.Context, name, by string) (agent.Node, error) {
	node, err := m.find(ctx, name)
	if err != nil {
		return agent.Node{}, err
	}
	row, err := m.change(ctx, name, func(row *store.Node) error {
		if row.Status != agent.NodeDraining {
			return agent.Errorf(agent.CodeConflict, "", "%s is %s, not draining", name, row.Status)
		}
		row.Status, row.Message, row.Fix = agent.NodeReady, "", ""
		return nil
	})
	if err != nil {
		return agent.Node{}, err
	}
	if err := m.cordon(ctx, node, false); err != nil {
		return agent.Node{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + name, Message: name + " takes workloads again", By: by})
	return m.Show(ctx, row.Name)
}

func (m *Manager) ask(ctx context.Context, name, by string, status agent.NodeStatus, message, said string) (agent.Node, error) {
	if name == m.cfg.Own {
		return agent.Node{}, agent.Errorf(agent.CodeConflict, "take the appliance down with: hks-installer down", "%s is the appliance's own machine: it is the shared pool", name)
	}
	row, err := m.change(ctx, name, func(row *store.Node) error {
		switch {
		case row.Status == agent.NodeRemoving:
			return agent.Errorf(agent.CodeConflict, "wait until it is gone", "%s is being removed", name)
		case row.Status == agent.NodeProvisioning && status == agent.NodeDraining:
			return agent.Errorf(agent.CodeConflict, "wait until it is ready", "%s is still joining", name)
		}
		row.Status, row.Message, row.Fix = status, message, ""
		return nil
	})
	if err != nil {
		return agent.Node{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "node/" + name, Message: said, By: by})
	m.nudge()
	if node, err := m.Show(ctx, name); err == nil {
		return node, nil
	}
	return fromRow(row), nil
}

func (m *Manager) find(ctx context.Context, name string) (*corev1.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	node, err := m.cfg.Cluster.Interface().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		if known := kube.Explain("reading the node "+name, err); agent.CodeOf(known) != agent.CodeNotFound {
			return nil, known
		}
		return nil, notFound(name)
	}
	return node, nil
}
