package workspace

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

type namespaceObject = corev1.Namespace

// builder makes one workspace's namespace and all that belongs into it.
type builder struct {
	cfg    Config
	set    kubernetes.Interface
	name   string
	plan   agent.Plan
	making func(ctx context.Context, namespace string) error // called before the namespace is made
}

type step struct {
	name string
	run  func(context.Context) error
}

// steps are in order; each applies its objects and then observes them. The
// names are shown while one waits.
func (b *builder) steps() []step {
	return []step{
		{"namespace", b.namespace},
		{"access", b.access},
		{"pod security", b.podSecurity},
		{"quota", b.quota},
		{"limits", b.limits},
		{"network policy", b.networkPolicy},
		{"owner's account", b.account},
		{"check", b.check},
	}
}

func (b *builder) namespace(ctx context.Context) error {
	doing := "making the namespace " + b.name
	for {
		found, err := b.find(ctx, doing)
		switch {
		case err != nil:
			return err
		case found == nil:
			if err := b.making(ctx, b.name); err != nil {
				return err
			}
			if _, err := kube.Apply(ctx, b.set.CoreV1().Namespaces(), doing, b.namespaceConfig()); err != nil {
				return err
			}
		case !ours(found, b.name):
			return agent.Errorf(agent.CodeConflict, "choose another name for the workspace",
				"the cluster has a namespace %s already, and it does not belong to hks", b.name)
		case found.DeletionTimestamp == nil && found.Status.Phase != corev1.NamespaceTerminating:
			return nil
		}
		if !sleep(ctx, b.cfg.Poll) {
			return kube.Explain(doing, ctx.Err())
		}
	}
}

// find returns the namespace, nil when it is not there.
func (b *builder) find(ctx context.Context, doing string) (*corev1.Namespace, error) {
	found, err := get(ctx, doing, func(ctx context.Context) (*corev1.Namespace, error) {
		return b.set.CoreV1().Namespaces().Get(ctx, b.name, metav1.GetOptions{})
	})
	return found, kube.IgnoreNotFound(err)
}

// access gives the agent its rights inside the namespace and waits until they
// are in force.
func (b *builder) access(ctx context.Context) error {
	doing := "taking access to the namespace " + b.name
	if _, err := kube.Apply(ctx, b.set.RbacV1().RoleBindings(b.name), doing, b.agentBinding()); err != nil {
		return err
	}
	return b.until(ctx, doing, func(ctx context.Context) (bool, error) {
		review, err := get(ctx, doing, func(ctx context.Context) (*authorizationv1.SelfSubjectAccessReview, error) {
			return b.set.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: b.name, Verb: "patch", Resource: "resourcequotas",
				}},
			}, metav1.CreateOptions{})
		})
		return err == nil && review.Status.Allowed, err
	})
}

func (b *builder) podSecurity(ctx context.Context) error {
	doing := "setting the Pod Security level of " + b.name
	applied, err := kube.Apply(ctx, b.set.CoreV1().Namespaces(), doing, b.namespaceConfig())
	if err != nil {
		return err
	}
	if got := applied.Labels[labelEnforce]; got != podLevel {
		return fmt.Errorf("%s: the cluster has %q", doing, got)
	}
	return nil
}

// quota is applied, and seen when the quota's own controller has taken it up:
// until then the API server refuses pods.
func (b *builder) quota(ctx context.Context) error {
	doing := "setting the quota of " + b.name
	config, err := b.quotaConfig(ctx)
	if err != nil {
		return err
	}
	quotas := b.set.CoreV1().ResourceQuotas(b.name)
	if _, err := kube.Apply(ctx, quotas, doing, config); err != nil {
		return err
	}
	return b.until(ctx, doing, func(ctx context.Context) (bool, error) {
		quota, err := get(ctx, doing, func(ctx context.Context) (*corev1.ResourceQuota, error) {
			return quotas.Get(ctx, objectName, metav1.GetOptions{})
		})
		return err == nil && counted(quota), err
	})
}

// counted tells whether the controller has seen the limits as they are.
func counted(quota *corev1.ResourceQuota) bool {
	for name, limit := range quota.Spec.Hard {
		if seen, ok := quota.Status.Hard[name]; !ok || seen.Cmp(limit) != 0 {
			return false
		}
	}
	return len(quota.Spec.Hard) > 0
}

func (b *builder) limits(ctx context.Context) error {
	_, err := kube.Apply(ctx, b.set.CoreV1().LimitRanges(b.name), "setting the limits of "+b.name, b.limitsConfig())
	return err
}

func (b *builder) networkPolicy(ctx context.Context) error {
	doing := "setting the network policy of " + b.name
	policies, err := b.policies(ctx)
	if err != nil {
		return err
	}
	for _, config := range policies {
		if _, err := kube.Apply(ctx, b.set.NetworkingV1().NetworkPolicies(b.name), doing, config); err != nil {
			return err
		}
	}
	return nil
}

// account makes the owner's account, and waits for the default account that
// the cluster makes and that pods run as.
func (b *builder) account(ctx context.Context) error {
	doing := "making the owner's account in " + b.name
	accounts := b.set.CoreV1().ServiceAccounts(b.name)
	if _, err := kube.Apply(ctx, accounts, doing, b.accountConfig()); err != nil {
		return err
	}
	if _, err := kube.Apply(ctx, b.set.RbacV1().RoleBindings(b.name), doing, b.ownerBinding()); err != nil {
		return err
	}
	return b.until(ctx, doing, func(ctx context.Context) (bool, error) {
		_, err := get(ctx, doing, func(ctx context.Context) (*corev1.ServiceAccount, error) {
			return accounts.Get(ctx, "default", metav1.GetOptions{})
		})
		return err == nil, kube.IgnoreNotFound(err)
	})
}

// check looks at everything once more, as the cluster has it now.
func (b *builder) check(ctx context.Context) error {
	doing := "checking the workspace " + b.name
	namespace, err := b.find(ctx, doing)
	if err != nil {
		return err
	}
	if namespace == nil || namespace.DeletionTimestamp != nil || namespace.Labels[labelEnforce] != podLevel {
		return agent.Errorf(agent.CodeConflict, "try again", "%s: someone changed or removed the namespace meanwhile", doing)
	}
	core, rbac := b.set.CoreV1(), b.set.RbacV1().RoleBindings(b.name)
	for _, look := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := core.ResourceQuotas(b.name).Get(ctx, objectName, metav1.GetOptions{})
			return err
		},
		func(ctx context.Context) error {
			_, err := core.LimitRanges(b.name).Get(ctx, objectName, metav1.GetOptions{})
			return err
		},
		func(ctx context.Context) error {
			policy, err := b.set.NetworkingV1().NetworkPolicies(b.name).Get(ctx, objectName, metav1.GetOptions{})
			if err == nil && len(policy.Spec.PolicyTypes) != len([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}) {
				return fmt.Errorf("the network policy does not hold both ways: %v", policy.Spec.PolicyTypes)
			}
			return err
		},
		func(ctx context.Context) error {
			_, err := core.ServiceAccounts(b.name).Get(ctx, ownerAccount, metav1.GetOptions{})
			return err
		},
		func(ctx context.Context) error {
			_, err := rbac.Get(ctx, ownerAccount, metav1.GetOptions{})
			return err
		},
	} {
		if _, err := get(ctx, doing, func(ctx context.Context) (*struct{}, error) { return nil, look(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// until looks again and again until what was applied is seen.
func (b *builder) until(ctx context.Context, doing string, seen func(context.Context) (bool, error)) error {
	for {
		ok, err := seen(ctx)
		if ok || err != nil {
			return err
		}
		if !sleep(ctx, b.cfg.Poll) {
			return kube.Explain(doing, ctx.Err())
		}
	}
}
