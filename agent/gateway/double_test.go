package gateway

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// apiDouble answers lists and watches of the objects it is given, as far as
// the gateway asks a Kubernetes API. It can go away and come back.
type apiDouble struct {
	t       *testing.T
	address string

	mu        sync.Mutex // guards the fields below
	server    *httptest.Server
	version   int
	objects   map[string]map[string]metav1.Object // resource -> key
	forbidden map[string]bool
	watchers  map[chan event]string // -> resource
}

type event struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

func newAPIDouble(t *testing.T) *apiDouble {
	t.Helper()
	d := &apiDouble{
		t: t, address: freeAddress(t), version: 1,
		objects: map[string]map[string]metav1.Object{}, forbidden: map[string]bool{}, watchers: map[chan event]string{},
	}
	d.up()
	t.Cleanup(d.down)
	return d
}

// kubeconfig writes a credential for it.
func (d *apiDouble) kubeconfig(path string) {
	d.t.Helper()
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"x",
"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
"clusters":[{"name":"x","cluster":{"server":"http://%s"}}],"users":[{"name":"x","user":{"token":"t"}}]}`, d.address)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *apiDouble) up() {
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(d)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = server
}

func (d *apiDouble) down() {
	d.mu.Lock()
	server := d.server
	d.server = nil
	d.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

func (d *apiDouble) forbid(resource string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forbidden[resource] = true
}

func (d *apiDouble) allow(resource string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.forbidden, resource)
}

// apply creates or updates objects.
func (d *apiDouble) apply(objects ...metav1.Object) {
	for _, object := range objects {
		d.change("MODIFIED", object)
	}
}

func (d *apiDouble) delete(objects ...metav1.Object) {
	for _, object := range objects {
		d.change("DELETED", object)
	}
}

func (d *apiDouble) change(kind string, object metav1.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	resource := resourceOf(object)
	key := object.GetNamespace() + "/" + object.GetName()
	if d.objects[resource] == nil {
		d.objects[resource] = map[string]metav1.Object{}
	}
	if d.objects[resource][key] == nil {
		kind = "ADDED"
	}
	d.version++
	object.SetResourceVersion(strconv.Itoa(d.version))
	if kind == "DELETED" {
		delete(d.objects[resource], key)
	} else {
		d.objects[resource][key] = object
	}
	for ch, watched := range d.watchers {
		if watched == resource {
			ch <- event{kind, frozen(object)}
		}
	}
}

// ServeHTTP answers /api/v1/RESOURCE and /apis/GROUP/v1/RESOURCE.
func (d *apiDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	resource := parts[len(parts)-1]
	d.mu.Lock()
	if d.forbidden[resource] {
		d.mu.Unlock()
		status(w, http.StatusForbidden, metav1.StatusReasonForbidden)
		return
	}
	var items []any
	for _, object := range d.objects[resource] {
		items = append(items, frozen(object))
	}
	version := strconv.Itoa(d.version)
	if r.FormValue("watch") == "" {
		d.mu.Unlock()
		reply(w, map[string]any{
			"kind": kinds[resource] + "List", "apiVersion": versions[resource],
			"metadata": map[string]string{"resourceVersion": version}, "items": append([]any{}, items...),
		})
		return
	}
	events := make(chan event, 1000)
	if r.FormValue("sendInitialEvents") == "true" {
		for _, item := range items {
			events <- event{"ADDED", item}
		}
		events <- event{"BOOKMARK", map[string]any{
			"kind": kinds[resource], "apiVersion": versions[resource], "metadata": map[string]any{
				"resourceVersion": version, "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			},
		}}
	} else if r.FormValue("resourceVersion") != version {
		for _, item := range items { // more than was missed, which a watcher must stand
			events <- event{"MODIFIED", item}
		}
	}
	d.watchers[events] = resource
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, events)
	}()
	w.Header().Set("Content-Type", "application/json")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			if json.NewEncoder(w).Encode(e) != nil {
				return
			}
		}
	}
}

var (
	kinds    = map[string]string{"ingresses": "Ingress", "ingressclasses": "IngressClass", "services": "Service", "endpointslices": "EndpointSlice", "secrets": "Secret"}
	versions = map[string]string{
		"ingresses": "networking.k8s.io/v1", "ingressclasses": "networking.k8s.io/v1",
		"services": "v1", "secrets": "v1", "endpointslices": "discovery.k8s.io/v1",
	}
)

func resourceOf(object metav1.Object) string {
	switch object.(type) {
	case *networkingv1.Ingress:
		return "ingresses"
	case *networkingv1.IngressClass:
		return "ingressclasses"
	case *corev1.Service:
		return "services"
	case *discoveryv1.EndpointSlice:
		return "endpointslices"
	case *corev1.Secret:
		return "secrets"
	}
	panic(fmt.Sprintf("the API double does not know %T", object))
}

// frozen is the object as it is now, with its kind.
func frozen(object metav1.Object) any {
	data, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		panic(err)
	}
	fields["kind"], fields["apiVersion"] = kinds[resourceOf(object)], versions[resourceOf(object)]
	return fields
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(code), Message: string(reason),
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
