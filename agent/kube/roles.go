package kube

import (
	"context"

	rbacac "k8s.io/client-go/applyconfigurations/rbac/v1"

	"hks.dev/hks/agent"
)

// Verbs by what they are for. Server-side apply is patch, and create when the
// object is not there yet.
var (
	read   = []string{"get", "list", "watch"}
	write  = []string{"get", "list", "watch", "create", "patch", "delete"}
	manage = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} // for people with kubectl
)

type grant struct {
	group     string
	resources []string
	names     []string // only these objects; empty: all
	verbs     []string
}

// roles lists every right that hks gives, without wildcards.
//
// The agent's rights are in two roles. hks-agent holds across the cluster and
// has no workload or Secret in it. hks-workspace-agent is bound inside the
// workspace's namespace only, by the agent itself when it makes the
// namespace: `bind` on the two workspace roles lets it do that without the
// verb escalate and without holding the rights anywhere else. Since the
// workspace's name is the owner's choice, RBAC can't say "role bindings, but
// not in kube-system"; the admission rules in admission.go say that.
//
// nodes/proxy is for the kubelet's statistics, which the API server serves
// under no narrower right; an admission rule holds it to that one path.
//
// The gateway only reads, and no Secret: RBAC can't tell a TLS Secret from
// any other.
func roles() map[string][]grant {
	return map[string][]grant{
		AgentAccount: {
			{"", []string{"namespaces"}, nil, write},
			{"", []string{"nodes"}, nil, []string{"get", "list", "watch", "patch", "delete"}}, // labels, taints and drains of dedicated nodes
			{"", []string{"nodes/proxy"}, nil, []string{"get"}},
			{"", []string{"persistentvolumes"}, nil, write}, // those of class hks; an admission rule says so
			{"networking.k8s.io", []string{"servicecidrs"}, nil, []string{"get", "list"}},
			{"rbac.authorization.k8s.io", []string{"rolebindings"}, nil, []string{"get", "create", "patch", "delete"}},
			{"rbac.authorization.k8s.io", []string{"clusterroles"}, []string{WorkspaceOwnerRole, WorkspaceAgentRole}, []string{"bind"}},
		},
		GatewayAccount: {
			{"", []string{"services"}, nil, read},
			{"discovery.k8s.io", []string{"endpointslices"}, nil, read},
			{"networking.k8s.io", []string{"ingresses", "ingressclasses"}, nil, read},
		},
		WorkspaceAgentRole: {
			{"", []string{"resourcequotas", "limitranges", "serviceaccounts", "services", "secrets", "configmaps", "persistentvolumeclaims"}, nil, write},
			{"", []string{"persistentvolumeclaims/status"}, nil, []string{"patch"}}, // how large a volume is that has grown
			{"", []string{"serviceaccounts/token"}, nil, []string{"create"}},
			{"", []string{"pods"}, nil, write}, // those of functions are made by the agent itself
			{"", []string{"pods/log"}, nil, []string{"get"}},
			{"", []string{"pods/eviction"}, nil, []string{"create"}},
			{"", []string{"pods/exec", "pods/portforward"}, nil, []string{"get", "create"}}, // get by WebSocket, create by SPDY
			{"", []string{"events"}, nil, read},
			{"", []string{"secrets"}, nil, []string{"update"}}, // Helm keeps its releases in Secrets
			{"apps", []string{"deployments", "statefulsets"}, nil, write},
			{"apps", []string{"replicasets"}, nil, read},
			{"autoscaling", []string{"horizontalpodautoscalers"}, nil, write},
			{"batch", []string{"jobs"}, nil, write},
			{"discovery.k8s.io", []string{"endpointslices"}, nil, read},
			{"networking.k8s.io", []string{"ingresses", "networkpolicies"}, nil, write},
			{"policy", []string{"poddisruptionbudgets"}, nil, write},
		},
		// What the owner may do with kubectl: all of a developer's work, and
		// nothing that the platform's limits rest on (quota, limits, policies,
		// roles, the namespace itself).
		WorkspaceOwnerRole: {
			{"", []string{"pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts"}, nil, manage},
			{"", []string{"pods/log", "pods/status"}, nil, []string{"get"}},
			{"", []string{"pods/exec", "pods/attach", "pods/portforward"}, nil, []string{"get", "create"}},
			{"", []string{"pods/eviction"}, nil, []string{"create"}},
			{"", []string{"events", "endpoints", "resourcequotas", "limitranges"}, nil, read},
			{"events.k8s.io", []string{"events"}, nil, read},
			{"apps", []string{"deployments", "statefulsets", "daemonsets", "replicasets"}, nil, manage},
			{"apps", []string{"deployments/scale", "statefulsets/scale", "replicasets/scale"}, nil, []string{"get", "update", "patch"}},
			{"batch", []string{"jobs", "cronjobs"}, nil, manage},
			{"autoscaling", []string{"horizontalpodautoscalers"}, nil, manage},
			{"policy", []string{"poddisruptionbudgets"}, nil, manage},
			{"networking.k8s.io", []string{"ingresses"}, nil, manage},
			{"networking.k8s.io", []string{"networkpolicies"}, nil, read},
			{"discovery.k8s.io", []string{"endpointslices"}, nil, read},
			{"metrics.k8s.io", []string{"pods"}, nil, []string{"get", "list"}},
		},
	}
}

func (c *Client) applyRoles(ctx context.Context, doing string) error {
	rbac := c.set.RbacV1()
	for name, grants := range roles() {
		role := rbacac.ClusterRole(name).WithLabels(platformLabels())
		for _, g := range grants {
			rule := rbacac.PolicyRule().WithAPIGroups(g.group).WithResources(g.resources...).WithVerbs(g.verbs...)
			role.WithRules(rule.WithResourceNames(g.names...))
		}
		if _, err := Apply(ctx, rbac.ClusterRoles(), doing, role); err != nil {
			return err
		}
	}
	for _, name := range []string{AgentAccount, GatewayAccount} {
		binding := rbacac.ClusterRoleBinding(name).WithLabels(platformLabels()).
			WithSubjects(rbacac.Subject().WithKind("ServiceAccount").WithNamespace(agent.SystemNamespace).WithName(name)).
			WithRoleRef(rbacac.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(name))
		if _, err := Apply(ctx, rbac.ClusterRoleBindings(), doing, binding); err != nil {
			return err
		}
	}
	return nil
}
