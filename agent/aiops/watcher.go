package aiops

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
}

// watcher holds what informers show of the workspace and the nodes.
type watcher struct {
	namespace   string
	factories   []informers.SharedInformerFactory
	stop        context.CancelFunc
	running     sync.WaitGroup
	pods        cache.Store
	events      cache.Store
	deployments cache.Store
	nodes       cache.Store
	synced      []cache.InformerSynced
}

// answerPause is between two questions to a cluster that does not answer yet.
const answerPause = 2 * time.Second

// watch begins to watch a namespace; changed is called at each change, often.
func watch(set kubernetes.Interface, namespace string, changed func()) (*watcher, error) {
	workspace := kube.Informers(set, namespace, informers.WithTransform(trim))
	events := kube.Informers(set, namespace, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "involvedObject.kind=Pod,type=Warning" }))
	cluster := kube.Informers(set, metav1.NamespaceAll, informers.WithTransform(trim))
	pods, deployments := workspace.Core().V1().Pods().Informer(), workspace.Apps().V1().Deployments().Informer()
	event, nodes := events.Core().V1().Events().Informer(), cluster.Core().V1().Nodes().Informer()
	w := &watcher{
		namespace: namespace, factories: []informers.SharedInformerFactory{workspace, events, cluster},
		pods: pods.GetStore(), events: event.GetStore(), deployments: deployments.GetStore(), nodes: nodes.GetStore(),
	}
	for _, informer := range []cache.SharedIndexInformer{pods, deployments, event, nodes} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
		})
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", namespace, err)
		}
		w.synced = append(w.synced, informer.HasSynced)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.running.Go(func() { w.run(ctx, set) })
	return w, nil
}

// run starts the informers once the cluster answers: they would wait too, but
// ever longer.
func (w *watcher) run(ctx context.Context, set kubernetes.Interface) {
	for {
		asking, cancel := context.WithTimeout(ctx, deadline)
		_, err := set.CoreV1().Pods(w.namespace).List(asking, metav1.ListOptions{Limit: 1})
		cancel()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(answerPause):
		}
	}
	for _, f := range w.factories {
		f.StartWithContext(ctx)
	}
}

// close stops watching and waits until that is so.
func (w *watcher) close() {
	w.stop()
	w.running.Wait()
	for _, f := range w.factories {
		f.Shutdown()
	}
}

// ready tells whether all of what there is was seen at least once.
func (w *watcher) ready() bool {
	return w != nil && !slices.ContainsFunc(w.synced, func(synced cache.InformerSynced) bool { return !synced() })
}

// trim lets go of what nobody here reads, the larger part of an object.
func trim(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
	}
	switch o := object.(type) {
	case *corev1.Pod:
		for i := range o.Spec.Containers {
			c := &o.Spec.Containers[i]
			c.Env, c.EnvFrom, c.VolumeMounts, c.Command, c.Args = nil, nil, nil, nil, nil
		}
		o.Spec.InitContainers, o.Spec.Volumes, o.Spec.Tolerations, o.Spec.Affinity = nil, nil, nil, nil
	case *appsv1.Deployment:
		o.Spec.Template = corev1.PodTemplateSpec{}
	case *corev1.Node:
		o.Status.Images = nil
	}
	return object, nil
}

// snapshot lists the pods that rules look at, by name, with the warnings about
// each, and the nodes. Pods that end, or that run to an end as Jobs do, are
// left out.
func (w *watcher) snapshot(now time.Time) snapshot {
	s := snapshot{now: now, events: map[string][]*corev1.Event{}}
	for _, o := range w.pods.List() {
		if p, ok := o.(*corev1.Pod); ok && p.DeletionTimestamp == nil && p.Spec.RestartPolicy == corev1.RestartPolicyAlways {
			s.pods = append(s.pods, p)
		}
	}
	slices.SortFunc(s.pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for _, o := range w.events.List() {
		if e, ok := o.(*corev1.Event); ok {
			s.events[e.InvolvedObject.Name] = append(s.events[e.InvolvedObject.Name], e)
		}
	}
	for _, o := range w.nodes.List() {
		if n, ok := o.(*corev1.Node); ok {
			s.nodes = append(s.nodes, n)
		}
	}
	return s
}

// functionService is what stands in the gateway's counters in place of a
// namespace where a function answers.
const functionService = "function"

// subjectOfService tells who answers for a route: a function, or the app whose
// Deployment has the Service's name.
func (w *watcher) subjectOfService(namespace, name string) (agent.Subject, bool) {
	if namespace == functionService {
		return agent.Subject{Kind: agent.SubjectFunction, Name: name}, true
	}
	if !w.ready() || namespace != w.namespace {
		return agent.Subject{}, false
	}
	o, ok, err := w.deployments.GetByKey(namespace + "/" + name)
	if err != nil || !ok {
		return agent.Subject{}, false
	}
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		return agent.Subject{}, false
	}
	s := SubjectOf(d.Labels)
	s.Component = ""
	return s, s.Name != ""
}
