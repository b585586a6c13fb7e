package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"hks.dev/hks/agent"
)

const (
	kubeconfigEvery = 2 * time.Second       // how often the credential's file is looked at
	buildEvery      = 20 * time.Millisecond // the least time between two tables
	relistMax       = 5 * time.Second       // the longest pause before the API is asked again
	refusedEvery    = time.Minute           // the same for what the gateway does without, after it said that it may not be read
)

// watcher keeps up with the cluster and reports its objects after each
// change. It works with client-go's reflectors, the part of an informer that
// lists and watches, and keeps only what routing needs of the objects.
type watcher struct {
	path    string // of the kubeconfig
	log     *slog.Logger
	api     *apiState
	changed func(Objects)
}

// run follows the cluster until ctx ends: waits for the credential, watches
// with it, and begins anew when its file changes.
func (w *watcher) run(ctx context.Context) {
	var failed []byte // a credential that cannot be used, told once
	for ctx.Err() == nil {
		data := w.credential(ctx)
		if data == nil {
			return
		}
		clients, err := newClients(data)
		if err != nil {
			if !bytes.Equal(data, failed) {
				w.log.Error("the gateway's credential can't be used", "file", w.path, "error", err)
				w.api.wait(err.Error())
			}
			failed = data
			pause(ctx, kubeconfigEvery)
			continue
		}
		w.session(ctx, clients, data)
	}
}

// credential waits for the kubeconfig and returns it; nil when ctx ends first.
func (w *watcher) credential(ctx context.Context) []byte {
	for told := false; ; told = true {
		data, err := os.ReadFile(w.path)
		if err == nil && len(data) > 0 {
			return data
		}
		if !told {
			w.log.Info("waiting for the gateway's credential, which the agent writes when the cluster is up", "file", w.path)
			w.api.wait(fmt.Sprintf("there is no credential at %s yet", w.path))
		}
		if !pause(ctx, kubeconfigEvery) {
			return nil
		}
	}
}

// session watches with one credential until its file changes or ctx ends.
func (w *watcher) session(ctx context.Context, clients clients, credential []byte) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	w.api.asking()
	s := &session{log: w.log, api: w.api, changed: make(chan struct{}, 1)}
	s.ingresses = s.follow(ctx, &work, clients.networking, "ingresses", &networkingv1.Ingress{}, demand{})
	s.services = s.follow(ctx, &work, clients.core, "services", &corev1.Service{}, demand{})
	s.slices = s.follow(ctx, &work, clients.discovery, "endpointslices", &discoveryv1.EndpointSlice{}, demand{})
	s.classes = s.follow(ctx, &work, clients.networking, "ingressclasses", &networkingv1.IngressClass{}, demand{})
	s.secrets = s.follow(ctx, &work, clients.core, "secrets", &corev1.Secret{}, demand{fields: "type=" + string(corev1.SecretTypeTLS), dispensable: true})
	look := time.NewTicker(kubeconfigEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if data, err := os.ReadFile(w.path); err == nil && len(data) > 0 && !bytes.Equal(data, credential) {
				w.log.Info("the gateway's credential changed; watching begins anew", "file", w.path)
				return
			}
		case <-s.changed:
			if objects, complete := s.objects(); complete {
				w.changed(objects)
				pause(ctx, buildEvery)
			}
		}
	}
}

// session holds what was listed with one credential.
type session struct {
	log     *slog.Logger
	api     *apiState
	changed chan struct{} // something changed; objects tells what there is now

	ingresses, services, slices, classes, secrets *objectStore
}

// objects returns what there is. It is complete when everything that routing
// can't do without was listed, and the rest was at least asked for.
func (s *session) objects() (_ Objects, complete bool) {
	ingresses, ok1 := listed[*networkingv1.Ingress](s.ingresses)
	services, ok2 := listed[*corev1.Service](s.services)
	endpoints, ok3 := listed[*discoveryv1.EndpointSlice](s.slices)
	classes, _ := listed[*networkingv1.IngressClass](s.classes)
	secrets, _ := listed[*corev1.Secret](s.secrets)
	objects := Objects{Ingresses: ingresses, Services: services, Slices: endpoints, Classes: classes, Secrets: secrets}
	return objects, ok1 && ok2 && ok3 && s.classes.wasAsked() && s.secrets.wasAsked()
}

// signal asks for a new table.
func (s *session) signal() {
	select {
	case s.changed <- struct{}{}:
	default: // asked for already
	}
}

// demand says which objects are followed, and whether they may be refused for
// good. What routing needs is asked for again soon: an API server that has just
// started refuses what it has not read the rights for yet.
type demand struct {
	fields      string // selector; empty: all
	dispensable bool
}

// follow lists and watches one kind of object until ctx ends.
func (s *session) follow(ctx context.Context, work *sync.WaitGroup, client rest.Interface, resource string, kind runtime.Object, want demand) *objectStore {
	store := &objectStore{items: map[string]runtime.Object{}, signal: s.signal}
	told := sync.OnceFunc(func() {
		s.log.Info("the gateway may not read "+resource+" and does without", "resource", resource)
	})
	var refused atomic.Bool
	mayAsk := func(ctx context.Context) error {
		if refused.Swap(false) && !pause(ctx, refusedEvery) {
			return ctx.Err()
		}
		return nil
	}
	note := func(err error) {
		switch {
		case err == nil:
			s.api.answered()
		case ctx.Err() != nil: // ended by us
		case isAway(err):
			s.api.failed(err)
		case apierrors.IsForbidden(err) && want.dispensable:
			told()
			refused.Store(true)
			fallthrough
		default: // an answer, if not the one hoped for
			store.asked()
		}
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if err := mayAsk(ctx); err != nil {
				return nil, err
			}
			options.FieldSelector = want.fields
			list, err := client.Get().Resource(resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Get()
			note(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if err := mayAsk(ctx); err != nil {
				return nil, err
			}
			options.FieldSelector, options.Watch = want.fields, true
			events, err := client.Get().Resource(resource).VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
			note(err)
			return events, err
		},
	}
	reflector := cache.NewReflectorWithOptions(lw, kind, store, cache.ReflectorOptions{
		Name: resource,
		Backoff: &wait.Backoff{
			Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 10, Cap: relistMax,
		},
	})
	// what it would log is noted above
	quiet := logr.NewContext(ctx, logr.Discard())
	work.Go(func() { reflector.RunWithContext(quiet) })
	return store
}

// isAway tells errors of reaching the API from answers it gave.
func isAway(err error) bool {
	status := apierrors.APIStatus(nil)
	if !asStatus(err, &status) {
		return true
	}
	return status.Status().Code >= 500 || apierrors.IsUnauthorized(err)
}

// objectStore is where a reflector keeps what it lists.
type objectStore struct {
	signal func()

	mu     sync.Mutex // guards the fields below
	items  map[string]runtime.Object
	synced bool // listed once
	tried  bool // asked for once and refused
}

// listed returns the objects, sure to be all there were at one moment.
func listed[T runtime.Object](s *objectStore) (_ []T, synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return nil, false
	}
	objects := make([]T, 0, len(s.items))
	for _, item := range s.items {
		if object, ok := item.(T); ok {
			objects = append(objects, object)
		}
	}
	return objects, true
}

func (s *objectStore) asked() {
	s.change(func() { s.tried = true })
}

func (s *objectStore) wasAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried || s.synced
}

func (s *objectStore) change(do func()) {
	s.mu.Lock()
	do()
	s.mu.Unlock()
	s.signal()
}

// Add keeps an object.
func (s *objectStore) Add(object any) error {
	key, slim, err := slimmed(object)
	if err != nil {
		return err
	}
	s.change(func() { s.items[key] = slim })
	return nil
}

// Update keeps the object's new form.
func (s *objectStore) Update(object any) error { return s.Add(object) }

// Delete drops an object.
func (s *objectStore) Delete(object any) error {
	key, _, err := slimmed(object)
	if err != nil {
		return err
	}
	s.change(func() { delete(s.items, key) })
	return nil
}

// Replace keeps these objects and no others.
func (s *objectStore) Replace(objects []any, _ string) error {
	items := make(map[string]runtime.Object, len(objects))
	for _, object := range objects {
		key, slim, err := slimmed(object)
		if err != nil {
			return err
		}
		items[key] = slim
	}
	s.change(func() { s.items, s.synced = items, true })
	return nil
}

// Resync has nothing to do.
func (s *objectStore) Resync() error { return nil }

// slimmed returns the object's key, and the object without what is large and
// of no use here.
func slimmed(object any) (string, runtime.Object, error) {
	kept, ok := object.(interface {
		runtime.Object
		metav1.Object
	})
	if !ok {
		return "", nil, fmt.Errorf("watching: %T is not an object", object)
	}
	kept.SetManagedFields(nil)
	annotations := map[string]string{}
	for _, name := range []string{classAnnotation, defaultAnnotation, agent.AnnotationMaintenance} {
		if value, ok := kept.GetAnnotations()[name]; ok {
			annotations[name] = value
		}
	}
	kept.SetAnnotations(annotations)
	return kept.GetNamespace() + "/" + kept.GetName(), kept, nil
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
