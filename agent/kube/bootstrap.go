package kube

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingac "k8s.io/client-go/applyconfigurations/networking/v1"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"hks.dev/hks/agent"
)

// Names of the platform's own objects.
const (
	AgentAccount       = "hks-agent"           // ServiceAccount and ClusterRole of the agent
	GatewayAccount     = "hks-gateway"         // ServiceAccount and ClusterRole of the gateway
	WorkspaceOwnerRole = "hks-workspace-owner" // ClusterRole bound to the owner inside the workspace
	WorkspaceAgentRole = "hks-workspace-agent" // ClusterRole bound to the agent inside the workspace
)

// bootstrapTimeout bounds each wait for the cluster's own controllers.
const bootstrapTimeout = time.Minute

// Bootstrap is what Client.Bootstrap makes beside the cluster's objects.
type Bootstrap struct {
	AgentFile   string // kubeconfig file of the agent's credential
	GatewayFile string // kubeconfig file of the gateway's credential

	// GatewayOwner, when set, gets the gateway's file: the gateway does not
	// run as root.
	GatewayOwner *FileOwner
}

// FileOwner is who a file belongs to.
type FileOwner struct{ UID, GID int }

// Bootstrap makes the platform's own objects and the narrow credentials of the
// agent and the gateway. The client is the cluster administrator's, used for
// this alone, at each start; running it again changes nothing.
func (c *Client) Bootstrap(ctx context.Context, b Bootstrap) error {
	if err := c.applyPlatform(ctx); err != nil {
		return err
	}
	for _, account := range []struct {
		name, file string
		owner      *FileOwner
		works      func(context.Context, *Client) error
	}{
		{AgentAccount, b.AgentFile, nil, agentWorks},
		{GatewayAccount, b.GatewayFile, b.GatewayOwner, gatewayWorks},
	} {
		text, err := c.credential(ctx, account.name)
		if err != nil {
			return err
		}
		if err := verify(ctx, text, account.name, account.works); err != nil {
			return err
		}
		if err := writeIfChanged(account.file, text, account.owner); err != nil {
			return fmt.Errorf("writing the credential of %s: %w", account.name, err)
		}
	}
	return nil
}

// applyPlatform makes the namespace, the ingress and storage classes, roles,
// accounts and admission rules.
func (c *Client) applyPlatform(ctx context.Context) error {
	core, doing := c.set.CoreV1(), "setting up the platform in the cluster"
	// Nothing runs here, so it has the strictest level.
	namespace := coreac.Namespace(agent.SystemNamespace).WithLabels(platformLabels()).
		WithLabels(map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	if _, err := Apply(ctx, core.Namespaces(), doing, namespace); err != nil {
		return err
	}
	class := networkingac.IngressClass(agent.IngressClass).WithLabels(platformLabels()).
		WithAnnotations(map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}).
		WithSpec(networkingac.IngressClassSpec().WithController("hks.dev/gateway"))
	if _, err := Apply(ctx, c.set.NetworkingV1().IngressClasses(), doing, class); err != nil {
		return err
	}
	if err := c.applyStorage(ctx, doing); err != nil {
		return err
	}
	if err := c.applyRoles(ctx, doing); err != nil {
		return err
	}
	if err := c.applyAdmission(ctx, doing); err != nil {
		return err
	}
	for _, name := range []string{AgentAccount, GatewayAccount} {
		account := coreac.ServiceAccount(name, agent.SystemNamespace).WithLabels(platformLabels()).
			WithAutomountServiceAccountToken(false) // no pod runs as it
		if _, err := Apply(ctx, core.ServiceAccounts(agent.SystemNamespace), doing, account); err != nil {
			return err
		}
		// The token's life is the Secret's: it needs no renewal while the agent
		// is away, and deleting the Secret revokes it.
		secret := coreac.Secret(name, agent.SystemNamespace).WithLabels(platformLabels()).
			WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: name}).
			WithType(corev1.SecretTypeServiceAccountToken)
		if _, err := Apply(ctx, core.Secrets(agent.SystemNamespace), doing, secret); err != nil {
			return err
		}
	}
	return nil
}

// credential waits until the cluster has issued the account's token and
// returns a kubeconfig with it.
func (c *Client) credential(ctx context.Context, account string) ([]byte, error) {
	doing := "waiting for the token of " + account
	var token []byte
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, bootstrapTimeout, true, func(ctx context.Context) (bool, error) {
		secret, err := c.set.CoreV1().Secrets(agent.SystemNamespace).Get(ctx, account, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		token = bytes.TrimSpace(secret.Data[corev1.ServiceAccountTokenKey])
		return len(token) > 0, nil
	})
	if err != nil {
		return nil, Explain(doing, err)
	}
	return c.KubeconfigFor(KubeconfigUser{Name: account, Token: string(token), Namespace: agent.SystemNamespace})
}

// verify connects with the credential and waits until its rights are in
// force: the API server's authorizer learns of new bindings a moment later.
func verify(ctx context.Context, kubeconfig []byte, account string, works func(context.Context, *Client) error) error {
	client, err := fromKubeconfig(kubeconfig)
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, bootstrapTimeout, true, func(ctx context.Context) (bool, error) {
		last = works(ctx, client)
		return last == nil, nil
	})
	if err != nil && last != nil {
		err = last
	}
	return Explain("trying the credential of "+account, err)
}

func agentWorks(ctx context.Context, c *Client) error {
	_, err := c.set.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

func gatewayWorks(ctx context.Context, c *Client) error {
	_, err := c.set.NetworkingV1().Ingresses(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

// platformLabels mark the platform's own objects.
func platformLabels() map[string]string {
	return map[string]string{agent.LabelManagedBy: agent.ManagedBy, agent.LabelPartOf: "hks"}
}
