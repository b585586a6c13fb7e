package app

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// secretsKept is for how many releases the Secret stays in the cluster; the
// store can make an older one again.
const secretsKept = 20

// extent says which of an app's objects to apply.
type extent int

const (
	everything extent = iota
	allButRoute
	onlyRoute
)

// apply makes the app's objects as desired. The Deployments come last, so
// that one which shows a release means that all else of it is there.
func (w *worker) apply(ctx context.Context, d desired, what extent) error {
	set := w.m.cfg.Cluster.Interface()
	doing := "deploying " + d.key.subject()
	group, all := errgroup.WithContext(ctx)
	if what != allButRoute {
		group.Go(func() error {
			ingresses := set.NetworkingV1().Ingresses(d.namespace)
			if i := d.ingress(); i != nil {
				_, err := kube.Apply(all, ingresses, doing, i)
				return err
			}
			return kube.Delete(all, ingresses, doing, d.key.object())
		})
	}
	if what == onlyRoute {
		return group.Wait()
	}
	group.Go(func() error { return w.applySecret(all, d, doing) })
	group.Go(func() error { return w.applyClaims(all, d) })
	for _, p := range d.parts() {
		group.Go(func() error {
			services := set.CoreV1().Services(d.namespace)
			if s := p.service(); s != nil {
				_, err := kube.Apply(all, services, doing, s)
				return err
			}
			return kube.Delete(all, services, doing, p.object())
		})
		group.Go(func() error {
			budgets := set.PolicyV1().PodDisruptionBudgets(d.namespace)
			if b := p.budget(); b != nil {
				_, err := kube.Apply(all, budgets, doing, b)
				return err
			}
			return kube.Delete(all, budgets, doing, p.object())
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, all = errgroup.WithContext(ctx)
	for _, p := range d.parts() {
		group.Go(func() error {
			err := w.applyScaled(all, p, doing)
			if agent.CodeOf(err) == agent.CodeInvalid {
				return w.otherSelector(all, p, err)
			}
			return err
		})
	}
	return group.Wait()
}

// otherSelector lets go of a Deployment of the time before components, whose
// selector can't change, when that is why the cluster refused it. Its pods go
// on serving: the next one takes them over.
func (w *worker) otherSelector(ctx context.Context, p part, refusal error) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	doing := "giving " + p.object() + " a component's selector"
	deployments := w.m.cfg.Cluster.Interface().AppsV1().Deployments(p.namespace)
	d, err := deployments.Get(ctx, p.object(), metav1.GetOptions{})
	if err != nil {
		return kube.Explain(doing, err)
	}
	if d.Labels[agent.LabelManagedBy] != agent.ManagedBy || d.Spec.Selector == nil || maps.Equal(d.Spec.Selector.MatchLabels, p.selector()) {
		return refusal
	}
	if d.DeletionTimestamp == nil {
		orphan := metav1.DeletePropagationOrphan
		err := deployments.Delete(ctx, d.Name, metav1.DeleteOptions{PropagationPolicy: &orphan, Preconditions: metav1.NewUIDPreconditions(string(d.UID))})
		if err := kube.IgnoreNotFound(kube.Explain(doing, err)); err != nil {
			return err
		}
	}
	return agent.Errorf(agent.CodeConflict, "wait a moment: it goes on by itself", "the instances of %s are being taken over from before it had components", p.key.subject())
}

// pruneComponents removes what is there of components that the app no longer
// has. The Deployment comes last: as long as it is there, so is the rest to do.
func (w *worker) pruneComponents(ctx context.Context, namespace string, names []string) error {
	set := w.m.cfg.Cluster.Interface()
	for _, name := range names {
		doing := "removing the component " + name + " of " + w.key.subject()
		for _, from := range []kube.Deleter{set.AutoscalingV2().HorizontalPodAutoscalers(namespace), set.PolicyV1().PodDisruptionBudgets(namespace), set.CoreV1().Services(namespace), set.AppsV1().Deployments(namespace)} {
			if err := kube.Delete(ctx, from, doing, w.key.component(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// applySecret makes the Secret of the release. It is immutable: one that is
// there with other values is left over from an earlier app of this name.
func (w *worker) applySecret(ctx context.Context, d desired, doing string) error {
	secret := d.secret()
	if secret == nil {
		return nil
	}
	secrets := w.m.cfg.Cluster.Interface().CoreV1().Secrets(d.namespace)
	_, err := kube.Apply(ctx, secrets, doing, secret)
	if agent.CodeOf(err) != agent.CodeInvalid {
		return err
	}
	if err := kube.Delete(ctx, secrets, doing, d.secretName()); err != nil {
		return err
	}
	_, err = kube.Apply(ctx, secrets, doing, secret)
	return err
}

// retryPods touches the Deployments whose pods were refused, so that their
// ReplicaSets try again at once.
func (w *worker) retryPods(ctx context.Context, v views, namespace string, now time.Time) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, annotationRetried, now.UTC().Format(time.RFC3339))
	for component, one := range v {
		if one.refusal() == "" {
			continue
		}
		if err := w.patch(ctx, namespace, component, "trying again to make an instance", patch); err != nil {
			return err
		}
	}
	return nil
}

// patch changes one field of a component's Deployment.
func (w *worker) patch(ctx context.Context, namespace, component, doing string, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err := w.m.cfg.Cluster.Interface().AppsV1().Deployments(namespace).
		Patch(ctx, w.key.component(component), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: agent.FieldManager})
	return kube.IgnoreNotFound(kube.Explain(doing, err))
}

// pruneSecrets removes the Secrets of releases that are long past.
func (w *worker) pruneSecrets(ctx context.Context, namespace string, newest, serving int) error {
	if newest <= secretsKept {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	secrets := w.m.cfg.Cluster.Interface().CoreV1().Secrets(namespace)
	list, err := secrets.List(ctx, metav1.ListOptions{LabelSelector: w.selector()})
	if err != nil {
		return kube.Explain("listing old releases' secrets", err)
	}
	for i := range list.Items {
		s := &list.Items[i]
		if n := releaseOf(s.Labels); n == 0 || n == serving || n > newest-secretsKept {
			continue
		}
		if err := kube.Delete(ctx, secrets, "removing an old release's secret", s.Name); err != nil {
			return err
		}
	}
	return nil
}

// selector finds all objects of the app.
func (w *worker) selector() string { return w.key.selector() }

func (k key) selector() string {
	return labels.SelectorFromSet(labels.Set{agent.LabelApp: k.app, agent.LabelEnvironment: string(k.env)}).String()
}
