package kube

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admissionac "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"

	"hks.dev/hks/agent"
)

// rule is one ValidatingAdmissionPolicy: the API server's own, in CEL, with no
// webhook that could be down. The rules narrow what RBAC can't.
type rule struct {
	name       string
	resource   *admissionac.NamedRuleWithOperationsApplyConfiguration
	agentOnly  bool // looks at the agent's own requests only
	workspaces bool // looks at workspaces' namespaces only
	expression string
	message    string
}

// reason is the kind of the refusal: a missing right, or a value that won't do.
func (r rule) reason() metav1.StatusReason {
	if r.agentOnly {
		return metav1.StatusReasonForbidden
	}
	return metav1.StatusReasonInvalid
}

func admissionRules() []rule {
	ours := func(object string) string {
		return fmt.Sprintf(`has(%[1]s.metadata.labels) && '%[2]s' in %[1]s.metadata.labels && %[1]s.metadata.labels[?'%[3]s'].orValue('') == '%[4]s'`,
			object, agent.LabelWorkspace, agent.LabelManagedBy, agent.ManagedBy)
	}
	changes := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete}
	return []rule{
		{
			name:       "hks-agent-namespaces",
			resource:   matching("", "namespaces", changes...),
			agentOnly:  true,
			expression: `request.operation == 'CREATE' ? (` + ours("object") + `) : (` + ours("oldObject") + `)`,
			message:    "the agent of hks makes, changes and deletes namespaces of workspaces only",
		},
		{
			name:       "hks-agent-rolebindings",
			resource:   matching("rbac.authorization.k8s.io", "rolebindings", changes...),
			agentOnly:  true,
			expression: ours("namespaceObject"),
			message:    "the agent of hks gives rights inside workspaces only",
		},
		{
			// A PersistentVolume may name any folder of the machine.
			name:      "hks-agent-volumes",
			resource:  matching("", "persistentvolumes", changes...),
			agentOnly: true,
			expression: fmt.Sprintf(`(request.operation == 'DELETE' || (object.spec.?storageClassName.orValue('') == '%[1]s' && has(object.spec.local) && object.spec.local.path.matches('/volumes/pvc-[0-9a-f-]+/fs/data$')))`+
				` && (request.operation == 'CREATE' || oldObject.spec.?storageClassName.orValue('') == '%[1]s')`, agent.StorageClass),
			message: "the agent of hks makes, changes and deletes volumes of its own class only",
		},
		{
			name:       "hks-agent-kubelet",
			resource:   matching("", "nodes/proxy", admissionv1.Connect),
			agentOnly:  true,
			expression: `object.path.matches('^/?stats/summary$')`,
			message:    "the agent of hks reads the kubelet's statistics only",
		},
		{
			// External addresses would let a Service take traffic meant for
			// someone else (CVE-2020-8554).
			name:       "hks-workspace-services",
			resource:   matching("", "services", admissionv1.Create, admissionv1.Update),
			workspaces: true,
			expression: `!has(object.spec.externalIPs) || size(object.spec.externalIPs) == 0`,
			message:    "a Service in a workspace may not have externalIPs: give the app a host instead",
		},
	}
}

func matching(group, resource string, operations ...admissionv1.OperationType) *admissionac.NamedRuleWithOperationsApplyConfiguration {
	return admissionac.NamedRuleWithOperations().WithAPIGroups(group).WithAPIVersions("v1").
		WithResources(resource).WithOperations(operations...)
}

func (c *Client) applyAdmission(ctx context.Context, doing string) error {
	client := c.set.AdmissionregistrationV1()
	for _, r := range admissionRules() {
		match := admissionac.MatchResources().WithResourceRules(r.resource)
		if r.workspaces {
			match.WithNamespaceSelector(metaac.LabelSelector().
				WithMatchExpressions(metaac.LabelSelectorRequirement().WithKey(agent.LabelWorkspace).WithOperator("Exists")))
		}
		spec := admissionac.ValidatingAdmissionPolicySpec().WithFailurePolicy(admissionv1.Fail).WithMatchConstraints(match).
			WithValidations(admissionac.Validation().WithExpression(r.expression).WithMessage(r.message).WithReason(r.reason()))
		if r.agentOnly {
			spec.WithMatchConditions(admissionac.MatchCondition().WithName("is-the-agent").
				WithExpression(fmt.Sprintf(`request.userInfo.username == 'system:serviceaccount:%s:%s'`, agent.SystemNamespace, AgentAccount)))
		}
		policy := admissionac.ValidatingAdmissionPolicy(r.name).WithLabels(platformLabels()).WithSpec(spec)
		if _, err := Apply(ctx, client.ValidatingAdmissionPolicies(), doing, policy); err != nil {
			return err
		}
		binding := admissionac.ValidatingAdmissionPolicyBinding(r.name).WithLabels(platformLabels()).
			WithSpec(admissionac.ValidatingAdmissionPolicyBindingSpec().WithPolicyName(r.name).WithValidationActions(admissionv1.Deny))
		if _, err := Apply(ctx, client.ValidatingAdmissionPolicyBindings(), doing, binding); err != nil {
			return err
		}
	}
	return nil
}
