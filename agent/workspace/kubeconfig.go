package workspace

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// kubeconfigLife is how long the owner's credential for kubectl works.
const kubeconfigLife = 30 * 24 * time.Hour

// Kubeconfig issues a credential for kubectl that reaches the workspace and
// nothing else.
func (m *Manager) Kubeconfig(ctx context.Context) ([]byte, error) {
	row, err := m.row(ctx)
	if err != nil {
		return nil, err
	}
	if row.Status != agent.WorkspaceReady {
		return nil, agent.Errorf(agent.CodeWorkspaceMissing, "wait until it is ready; hks workspace show tells",
			"the workspace %s is not ready", row.Name)
	}
	seconds := int64(kubeconfigLife.Seconds())
	issued, err := get(ctx, "issuing a credential for the workspace", func(ctx context.Context) (*authenticationv1.TokenRequest, error) {
		return m.cfg.Cluster.Interface().CoreV1().ServiceAccounts(row.Name).CreateToken(ctx, ownerAccount, &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
		}, metav1.CreateOptions{})
	})
	if err != nil {
		return nil, err
	}
	return m.cfg.Cluster.KubeconfigFor(kube.KubeconfigUser{
		Name: "hks", Token: issued.Status.Token, Namespace: row.Name, Server: m.cfg.Server(), Host: m.nodeAddress(ctx),
	})
}

// nodeAddress is the address of the node that the API server runs on, which
// its certificate is for; empty when it can't be told.
func (m *Manager) nodeAddress(ctx context.Context) string {
	b := &builder{cfg: m.cfg, set: m.cfg.Cluster.Interface()}
	nodes, err := b.nodes(ctx)
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "the node's address can't be read; the credential works on this machine only", "error", err)
		return ""
	}
	for _, node := range nodes {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP && runsGateway(&node, len(nodes)) {
				return address.Address
			}
		}
	}
	return ""
}
