package volume

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
)

// watch holds what informers show of the claims of a namespace and of all
// PersistentVolumes.
type watch struct {
	namespace string
	factories []informers.SharedInformerFactory
	stop      context.CancelFunc
	claims    corelisters.PersistentVolumeClaimNamespaceLister
	volumes   corelisters.PersistentVolumeLister
	synced    []cache.InformerSynced
}

func startWatch(ctx context.Context, set kubernetes.Interface, namespace string, changed func()) (*watch, error) {
	inside, outside := kube.Informers(set, namespace), kube.Informers(set, metav1.NamespaceAll)
	claims, volumes := inside.Core().V1().PersistentVolumeClaims(), outside.Core().V1().PersistentVolumes()
	w := &watch{
		namespace: namespace, factories: []informers.SharedInformerFactory{inside, outside},
		claims: claims.Lister().PersistentVolumeClaims(namespace), volumes: volumes.Lister(),
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() },
		})
		if err != nil {
			return nil, fmt.Errorf("watching volumes: %w", err)
		}
		w.synced = append(w.synced, informer.HasSynced)
	}
	ctx, w.stop = context.WithCancel(ctx)
	for _, f := range w.factories {
		f.StartWithContext(ctx)
	}
	return w, nil
}

func (w *watch) close() {
	w.stop()
	for _, f := range w.factories {
		f.Shutdown()
	}
}

// ready tells whether all of what there is was seen at least once.
func (w *watch) ready() bool {
	return w != nil && !slices.ContainsFunc(w.synced, func(synced cache.InformerSynced) bool { return !synced() })
}

// all lists the claims of the namespace.
func (w *watch) all() ([]*corev1.PersistentVolumeClaim, error) {
	claims, err := w.claims.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing claims: %w", err)
	}
	return claims, nil
}

// volume returns a PersistentVolume as it was seen last; nil for none.
func (w *watch) volume(id string) *corev1.PersistentVolume {
	pv, err := w.volumes.Get(id)
	if err != nil {
		return nil
	}
	return pv
}

// claim returns a claim as it was seen last; nil for none.
func (w *watch) claim(name string) *corev1.PersistentVolumeClaim {
	claim, err := w.claims.Get(name)
	if err != nil {
		return nil
	}
	return claim
}

// classOf is the storage class of a claim.
func classOf(claim *corev1.PersistentVolumeClaim) string {
	if claim.Spec.StorageClassName == nil {
		return ""
	}
	return *claim.Spec.StorageClassName
}

func ours(claim *corev1.PersistentVolumeClaim) bool { return classOf(claim) == agent.StorageClass }

// requested is the size that a claim asks for, in bytes.
func requested(claim *corev1.PersistentVolumeClaim) int64 {
	return claim.Spec.Resources.Requests.Storage().Value()
}
