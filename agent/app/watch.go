package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// Indexes of the informers' caches.
const (
	indexApp = "app" // by key.object, which is the same for one app only
	indexPod = "pod" // events by the pod they are about
)

// Waits for a cluster that does not answer yet.
const (
	answerTimeout = 5 * time.Second
	answerPause   = time.Second
)

// watch holds what informers show of one namespace.
type watch struct {
	namespace   string
	factories   []informers.SharedInformerFactory
	stop        context.CancelFunc
	starting    sync.WaitGroup
	deployments cache.Indexer
	autoscalers cache.Indexer
	pods        cache.Indexer
	events      cache.Indexer
	nodes       cache.Indexer
	synced      []cache.InformerSynced
}

// startWatch begins to watch the apps of a namespace. Changed is called for
// each app that changes.
func startWatch(ctx context.Context, set kubernetes.Interface, namespace string, changed func(key)) (*watch, error) {
	apps := kube.Informers(set, namespace, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = agent.LabelApp }))
	pods := kube.Informers(set, namespace, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "involvedObject.kind=Pod" }))
	cluster := kube.Informers(set, metav1.NamespaceAll, informers.WithTransform(trim))
	node := cluster.Core().V1().Nodes().Informer() // not for changes of apps, only for words
	autoscaler := apps.Autoscaling().V2().HorizontalPodAutoscalers().Informer()
	deployment, pod, event := apps.Apps().V1().Deployments().Informer(), apps.Core().V1().Pods().Informer(), pods.Core().V1().Events().Informer()
	w := &watch{
		namespace: namespace, factories: []informers.SharedInformerFactory{apps, pods, cluster},
		deployments: deployment.GetIndexer(), autoscalers: autoscaler.GetIndexer(), pods: pod.GetIndexer(), events: event.GetIndexer(), nodes: node.GetIndexer(),
		synced: []cache.InformerSynced{node.HasSynced},
	}
	notify := func(object any) {
		if k, ok := w.keyOf(object); ok {
			changed(k)
		}
	}
	for _, informer := range []cache.SharedIndexInformer{deployment, autoscaler, pod, event} {
		if err := informer.AddIndexers(indexers); err != nil {
			return nil, fmt.Errorf("indexing what is watched: %w", err)
		}
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    notify,
			UpdateFunc: func(_, object any) { notify(object) },
			DeleteFunc: notify,
		})
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", namespace, err)
		}
		w.synced = append(w.synced, informer.HasSynced, registration.HasSynced)
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.starting.Go(func() {
		if !answers(ctx, set, namespace) {
			return
		}
		for _, f := range w.factories {
			f.StartWithContext(kube.Patient(ctx))
		}
	})
	return w, nil
}

// answers waits until the cluster answers, and returns false when ctx ends
// before. Informers would wait too, but ever longer: after a start of the
// machine half a minute more than is needed.
func answers(ctx context.Context, set kubernetes.Interface, namespace string) bool {
	for {
		asking, cancel := context.WithTimeout(ctx, answerTimeout)
		_, err := set.CoreV1().Pods(namespace).List(asking, metav1.ListOptions{Limit: 1})
		cancel()
		if err == nil {
			return true
		}
		pause := time.NewTimer(answerPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return false
		case <-pause.C:
		}
	}
}

// close stops watching and waits until that is so.
func (w *watch) close() {
	w.stop()
	w.starting.Wait()
	for _, f := range w.factories {
		f.Shutdown()
	}
}

// ready tells whether all of what there is was seen at least once.
func (w *watch) ready() bool {
	return w != nil && !slices.ContainsFunc(w.synced, func(synced cache.InformerSynced) bool { return !synced() })
}

// waitReady waits until ready or until ctx or the watch ends.
func (w *watch) waitReady(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), w.synced...)
}

// view returns what is known of an app now.
func (w *watch) view(k key) views {
	all, taints := views{}, w.taints()
	at := func(component string) view {
		if v, ok := all[component]; ok {
			return v
		}
		return view{taints: taints, events: map[string][]*corev1.Event{}}
	}
	for _, object := range byIndex[*appsv1.Deployment](w.deployments, indexApp, k.object()) {
		if component := componentOf(object.Labels); object.Name == k.component(component) {
			v := at(component)
			v.deployment = object
			all[component] = v
		}
	}
	for _, object := range byIndex[*autoscalingv2.HorizontalPodAutoscaler](w.autoscalers, indexApp, k.object()) {
		if component := componentOf(object.Labels); object.Name == k.component(component) {
			v := at(component)
			v.autoscaler = object
			all[component] = v
		}
	}
	for _, p := range byIndex[*corev1.Pod](w.pods, indexApp, k.object()) {
		v := at(componentOf(p.Labels))
		v.pods = append(v.pods, p)
		if events := byIndex[*corev1.Event](w.events, indexPod, p.Name); len(events) > 0 {
			v.events[p.Name] = events
		}
		all[componentOf(p.Labels)] = v
	}
	for _, v := range all {
		slices.SortFunc(v.pods, byName)
	}
	return all
}

// taints are the keys of what keeps pods off nodes.
func (w *watch) taints() []string {
	var keys []string
	for _, object := range w.nodes.List() {
		node, ok := object.(*corev1.Node)
		if !ok {
			continue
		}
		for _, t := range node.Spec.Taints {
			if t.Effect != corev1.TaintEffectPreferNoSchedule && !slices.Contains(keys, t.Key) {
				keys = append(keys, t.Key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// keyOf tells which app an object is about.
func (w *watch) keyOf(object any) (key, bool) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if event, ok := object.(*corev1.Event); ok {
		pod, found, err := w.pods.GetByKey(w.namespace + "/" + event.InvolvedObject.Name)
		if err != nil || !found {
			return key{}, false
		}
		object = pod
	}
	m, err := meta.Accessor(object)
	if err != nil {
		return key{}, false
	}
	labels := m.GetLabels()
	k := key{labels[agent.LabelApp], agent.Environment(labels[agent.LabelEnvironment])}
	return k, k.app != "" && k.env != ""
}

var indexers = cache.Indexers{
	indexApp: func(object any) ([]string, error) {
		m, err := meta.Accessor(object)
		if err != nil {
			return nil, fmt.Errorf("indexing by app: %w", err)
		}
		labels := m.GetLabels()
		if labels[agent.LabelApp] == "" || labels[agent.LabelEnvironment] == "" {
			return nil, nil
		}
		return []string{agent.ObjectName(labels[agent.LabelApp], agent.Environment(labels[agent.LabelEnvironment]))}, nil
	},
	indexPod: func(object any) ([]string, error) {
		if event, ok := object.(*corev1.Event); ok {
			return []string{event.InvolvedObject.Name}, nil
		}
		return nil, nil
	},
}

func byIndex[T any](indexer cache.Indexer, index, value string) []T {
	objects, err := indexer.ByIndex(index, value)
	if err != nil {
		return nil // only for an index that does not exist
	}
	list := make([]T, 0, len(objects))
	for _, o := range objects {
		if t, ok := o.(T); ok {
			list = append(list, t)
		}
	}
	return list
}

// trim lets go of what nobody here reads, the larger part of an object.
func trim(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
	}
	if node, ok := object.(*corev1.Node); ok {
		node.Status = corev1.NodeStatus{}
	}
	return object, nil
}
