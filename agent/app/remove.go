package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

const (
	removePause = 500 * time.Millisecond // between two looks at what is going
	doingRemove = "deleting the app"
)

// Delete takes an app away, with its route, configuration and releases, and
// returns when all of it was seen to be gone. It goes on when ctx ends.
func (m *Manager) Delete(ctx context.Context, app string, env agent.Environment, by string) (agent.Deletion, error) {
	k, state, err := m.existing(ctx, app, env)
	if err != nil {
		return agent.Deletion{}, err
	}
	w := m.workerOf(k)
	cancelled, err := m.cfg.Store.DeleteApp(ctx, k.app, k.env)
	if err == nil {
		m.cancelled(ctx, k, cancelled, "the app is being deleted")
		m.tell(ctx, k, "info", fmt.Sprintf("deleting it (release %d)", state.Newest.Number), by)
		m.cfg.HostsChanged()
	} // else it is being deleted already: wait for the same end
	m.work(k)
	if w == nil {
		w = m.workerOf(k)
	}
	if w == nil {
		return agent.Deletion{}, agent.Errorf(agent.CodeClusterAway, "wait a moment: it goes on by itself", "%s will be deleted when hks has started", k.subject())
	}
	select {
	case <-w.done:
		return w.deletion, nil
	case <-ctx.Done():
		return agent.Deletion{}, &agent.Error{
			Code:    agent.CodeConflict,
			Message: k.subject() + " is still being deleted",
			Fix:     "it goes on by itself; " + k.command("app show") + " shows how far it is",
			Cause:   ctx.Err(),
		}
	}
}

// remove takes the app's objects away and, when they were seen to be gone,
// its rows.
func (w *worker) remove(ctx context.Context, at place) (wait time.Duration, gone bool, err error) {
	if !w.removing {
		if err := w.removeObjects(ctx, at.namespace); err != nil {
			return never, false, err
		}
		w.removing = true
	}
	if len(at.watch.view(w.key)) > 0 {
		return never, false, nil
	}
	// The informers may not have seen yet what was made a moment ago.
	left, err := w.left(ctx, at.namespace)
	if err != nil || left {
		return removePause, false, err
	}
	domains, err := w.m.cfg.Store.AppDomains(ctx, w.key.app, w.key.env)
	if err != nil {
		return never, false, err
	}
	for _, d := range domains {
		w.deletion.Removed = append(w.deletion.Removed, "domain/"+d.Host)
	}
	if err := w.m.forget(ctx, w.key); err != nil {
		return never, false, err
	}
	slices.Sort(w.deletion.Removed)
	w.m.tell(ctx, w.key, "info", "deleted", "")
	w.m.cfg.Publish("app", w.key.subject(), nil)
	w.m.cfg.HostsChanged()
	return never, true, nil
}

// removeObjects asks for every object of the app to go, its route first.
func (w *worker) removeObjects(ctx context.Context, namespace string) error {
	set := w.m.cfg.Cluster.Interface()
	options := metav1.ListOptions{LabelSelector: w.selector()}
	asking, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()

	ingresses, err := set.NetworkingV1().Ingresses(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	budgets, err := set.PolicyV1().PodDisruptionBudgets(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	autoscalers, err := set.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	services, err := set.CoreV1().Services(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	deployments, err := set.AppsV1().Deployments(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	secrets, err := set.CoreV1().Secrets(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	if err := w.keepClaims(ctx, namespace); err != nil {
		return err
	}
	jobs, err := set.BatchV1().Jobs(namespace).List(asking, options)
	if err != nil {
		return kube.Explain(doingRemove, err)
	}
	for i := range ingresses.Items {
		if err := w.removeOne(ctx, set.NetworkingV1().Ingresses(namespace), "ingress", &ingresses.Items[i]); err != nil {
			return err
		}
	}
	for i := range budgets.Items {
		if err := w.removeOne(ctx, set.PolicyV1().PodDisruptionBudgets(namespace), "poddisruptionbudget", &budgets.Items[i]); err != nil {
			return err
		}
	}
	for i := range autoscalers.Items {
		if err := w.removeOne(ctx, set.AutoscalingV2().HorizontalPodAutoscalers(namespace), "horizontalpodautoscaler", &autoscalers.Items[i]); err != nil {
			return err
		}
	}
	for i := range deployments.Items {
		if err := w.removeOne(ctx, set.AppsV1().Deployments(namespace), "deployment", &deployments.Items[i]); err != nil {
			return err
		}
	}
	for i := range jobs.Items {
		if err := w.removeOne(ctx, set.BatchV1().Jobs(namespace), "job", &jobs.Items[i]); err != nil {
			return err
		}
	}
	for i := range services.Items {
		if err := w.removeOne(ctx, set.CoreV1().Services(namespace), "service", &services.Items[i]); err != nil {
			return err
		}
	}
	for i := range secrets.Items {
		if err := w.removeOne(ctx, set.CoreV1().Secrets(namespace), "secret", &secrets.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// removeOne deletes an object of ours. In the foreground: a Deployment is
// gone only after its pods are.
func (w *worker) removeOne(ctx context.Context, from kube.Deleter, kind string, object metav1.Object) error {
	if object.GetLabels()[agent.LabelManagedBy] != agent.ManagedBy {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	foreground := metav1.DeletePropagationForeground
	err := from.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground})
	if err := kube.IgnoreNotFound(kube.Explain(doingRemove, err)); err != nil {
		return err
	}
	if name := kind + "/" + object.GetName(); !slices.Contains(w.deletion.Removed, name) {
		w.deletion.Removed = append(w.deletion.Removed, name)
	}
	return nil
}

// left asks the cluster itself whether anything of the app still runs.
func (w *worker) left(ctx context.Context, namespace string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	set := w.m.cfg.Cluster.Interface()
	options := metav1.ListOptions{LabelSelector: w.selector(), Limit: 1}
	deployments, err := set.AppsV1().Deployments(namespace).List(ctx, options)
	if err != nil {
		return true, kube.Explain(doingRemove, err)
	}
	pods, err := set.CoreV1().Pods(namespace).List(ctx, options)
	if err != nil {
		return true, kube.Explain(doingRemove, err)
	}
	// A new app of this name would take a Job left over for its own.
	jobs, err := set.BatchV1().Jobs(namespace).List(ctx, options)
	if err != nil {
		return true, kube.Explain(doingRemove, err)
	}
	return len(deployments.Items)+len(pods.Items)+len(jobs.Items) > 0, nil
}
