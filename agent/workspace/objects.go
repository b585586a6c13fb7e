package workspace

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	rbacac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Names of the objects in a workspace's namespace.
const (
	objectName   = "hks"       // quota, limit range, network policy
	ownerAccount = "hks-owner" // the owner's service account and its role binding
	agentBinding = "hks-agent" // the agent's rights
)

const (
	labelEnforce = "pod-security.kubernetes.io/enforce"
	labelWarn    = "pod-security.kubernetes.io/warn"
	labelAudit   = "pod-security.kubernetes.io/audit"
)

// podLevel is the Pod Security level that the namespace enforces.
//
// The owner's images are what they are: most of the public ones (nginx,
// postgres, nearly every tutorial's) start as root, which restricted refuses,
// so with it the first deploy of most people would fail. The namespace
// therefore enforces baseline, which already rules out privileged pods, host
// namespaces, host paths and added capabilities, and warns of restricted; the
// apps that hks makes come as close to restricted as their image lets them.
// Namespaces in which no user image runs (hks-system) enforce restricted.
const podLevel = "baseline"

func (b *builder) labels() map[string]string {
	return map[string]string{
		agent.LabelManagedBy: agent.ManagedBy,
		agent.LabelPartOf:    b.name,
		agent.LabelWorkspace: b.name,
	}
}

// ours tells whether hks made the namespace, as the workspace of that name.
func ours(n *corev1.Namespace, name string) bool {
	return n.Labels[agent.LabelManagedBy] == agent.ManagedBy && n.Labels[agent.LabelWorkspace] == name
}

func (b *builder) namespaceConfig() *coreac.NamespaceApplyConfiguration {
	return coreac.Namespace(b.name).WithLabels(b.labels()).WithLabels(map[string]string{
		labelEnforce: podLevel, labelWarn: "restricted", labelAudit: "restricted",
	})
}

func (b *builder) agentBinding() *rbacac.RoleBindingApplyConfiguration {
	return b.binding(agentBinding, kube.WorkspaceAgentRole, agent.SystemNamespace, kube.AgentAccount)
}

func (b *builder) ownerBinding() *rbacac.RoleBindingApplyConfiguration {
	return b.binding(ownerAccount, kube.WorkspaceOwnerRole, b.name, ownerAccount)
}

func (b *builder) binding(name, role, accountNamespace, account string) *rbacac.RoleBindingApplyConfiguration {
	return rbacac.RoleBinding(name, b.name).WithLabels(b.labels()).
		WithRoleRef(rbacac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(role)).
		WithSubjects(rbacac.Subject().WithKind("ServiceAccount").WithNamespace(accountNamespace).WithName(account))
}

func (b *builder) accountConfig() *coreac.ServiceAccountApplyConfiguration {
	return coreac.ServiceAccount(ownerAccount, b.name).WithLabels(b.labels()).WithAutomountServiceAccountToken(false)
}

// limitsConfig gives a container that says nothing what a small web app needs.
func (b *builder) limitsConfig() *coreac.LimitRangeApplyConfiguration {
	return coreac.LimitRange(objectName, b.name).WithLabels(b.labels()).
		WithSpec(coreac.LimitRangeSpec().WithLimits(coreac.LimitRangeItem().WithType(corev1.LimitTypeContainer).
			WithDefaultRequest(corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")}).
			WithDefault(corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi")})))
}
