package gateway

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBuild(t *testing.T) {
	web := kubeService("dev", "web", port("http", 80))
	hks := className("hks")
	tests := []struct {
		name     string
		objects  Objects
		routes   []string // host path service
		services []string // ID endpoints...
		problems int
	}{
		{
			name: "an app: ingress, service, endpoints",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks, path("web.localhost", "/", "web", 80))},
				Services:  []*corev1.Service{web},
				Slices:    []*discoveryv1.EndpointSlice{newSlice("dev", "web", "http", 8080, up("10.0.0.2"), up("10.0.0.1"))},
			},
			routes:   []string{"web.localhost / dev/web:80"},
			services: []string{"dev/web:80 10.0.0.1:8080 10.0.0.2:8080"},
		},
		{
			name: "another class is not ours, a class-less one is when hks is the default",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{
					newIngress("dev", "a", className("nginx"), path("a.test", "/", "web", 80)),
					newIngress("dev", "b", nil, path("b.test", "/", "web", 80)),
				},
				Classes: []*networkingv1.IngressClass{newClass("hks", true)},
			},
			routes:   []string{"b.test / dev/web:80"},
			services: []string{"dev/web:80"},
		},
		{
			name: "a class-less one is not ours when hks is not the default",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "b", nil, path("b.test", "/", "web", 80))},
				Classes:   []*networkingv1.IngressClass{newClass("hks", false)},
			},
		},
		{
			name:     "classes that can't be read count as hks being the default",
			objects:  Objects{Ingresses: []*networkingv1.Ingress{newIngress("dev", "b", nil, path("b.test", "/", "web", 80))}},
			routes:   []string{"b.test / dev/web:80"},
			services: []string{"dev/web:80"},
		},
		{
			name: "the older of two ingresses has the path",
			objects: Objects{Ingresses: []*networkingv1.Ingress{
				aged(newIngress("dev", "young", hks, path("x.test", "/", "young", 80)), time.Minute),
				aged(newIngress("dev", "old", hks, path("x.test", "/", "old", 80)), time.Hour),
			}},
			routes:   []string{"x.test / dev/old:80"},
			services: []string{"dev/old:80"},
			problems: 1,
		},
		{
			name: "a prefix with a last slash is the prefix without; hosts are lower case",
			objects: Objects{Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks,
				path("X.Test", "/api/", "web", 80), path("x.test", "/api", "other", 80))}},
			routes:   []string{"x.test /api dev/web:80"},
			services: []string{"dev/web:80"},
		},
		{
			name: "a named port, endpoints of that port only, unready left out",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks, namedPath("x.test", "/", "web", "http"))},
				Services:  []*corev1.Service{kubeService("dev", "web", port("http", 80), port("admin", 81))},
				Slices: []*discoveryv1.EndpointSlice{
					newSlice("dev", "web", "http", 8080, up("10.0.0.1"), down("10.0.0.2")),
					newSlice("dev", "web", "admin", 9090, up("10.0.0.1")),
					newSlice("other", "web", "http", 8080, up("10.9.9.9")),
				},
			},
			routes:   []string{"x.test / dev/web:http"},
			services: []string{"dev/web:http 10.0.0.1:8080"},
		},
		{
			name: "ending endpoints serve only while there is no other",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks, path("x.test", "/", "web", 80), path("y.test", "/", "two", 80))},
				Services:  []*corev1.Service{web, kubeService("dev", "two", port("http", 80))},
				Slices: []*discoveryv1.EndpointSlice{
					newSlice("dev", "web", "http", 8080, ending("10.0.0.1")),
					newSlice("dev", "two", "http", 8080, ending("10.0.0.3"), up("10.0.0.4")),
				},
			},
			routes:   []string{"x.test / dev/web:80", "y.test / dev/two:80"},
			services: []string{"dev/two:80 10.0.0.4:8080", "dev/web:80 10.0.0.1:8080"},
		},
		{
			name: "IPv6, and an address listed twice",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks, path("x.test", "/", "web", 80))},
				Services:  []*corev1.Service{web},
				Slices: []*discoveryv1.EndpointSlice{
					newSlice("dev", "web", "http", 8080, up("fd00::1")), newSlice("dev", "web", "http", 8080, up("fd00::1")),
				},
			},
			routes:   []string{"x.test / dev/web:80"},
			services: []string{"dev/web:80 [fd00::1]:8080"},
		},
		{
			name: "what can't be routed is said: no such port, ExternalName, no service behind a path",
			objects: Objects{
				Ingresses: []*networkingv1.Ingress{newIngress("dev", "web", hks,
					path("x.test", "/", "web", 81), path("y.test", "/", "out", 80),
					networkingv1.IngressRule{Host: "z.test", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
						Paths: []networkingv1.HTTPIngressPath{{Path: "/", Backend: networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{}}}},
					}}})},
				Services: []*corev1.Service{web, {
					ObjectMeta: metav1.ObjectMeta{Namespace: "dev", Name: "out"},
					Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "metadata.internal", Ports: []corev1.ServicePort{port("http", 80)}},
				}},
			},
			routes:   []string{"x.test / dev/web:81", "y.test / dev/out:80"},
			services: []string{"dev/out:80", "dev/web:81"},
			problems: 3,
		},
		{
			name: "an ingress being deleted has no routes; a default backend has every host",
			objects: Objects{Ingresses: []*networkingv1.Ingress{
				deleted(newIngress("dev", "gone", hks, path("x.test", "/", "web", 80))),
				{
					ObjectMeta: metav1.ObjectMeta{Namespace: "dev", Name: "all"},
					Spec: networkingv1.IngressSpec{IngressClassName: hks, DefaultBackend: &networkingv1.IngressBackend{
						Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}},
					}},
				},
			}},
			routes:   []string{" / dev/web:80"},
			services: []string{"dev/web:80"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table := Build(test.objects)
			var routes, services []string
			for _, r := range table.Routes {
				routes = append(routes, r.Host+" "+r.Path+" "+r.Service)
			}
			for _, s := range table.Services {
				services = append(services, strings.Join(append([]string{s.ID}, s.Endpoints...), " "))
			}
			if !slices.Equal(routes, test.routes) {
				t.Errorf("routes:\n got %q\nwant %q", routes, test.routes)
			}
			if !slices.Equal(services, test.services) {
				t.Errorf("services:\n got %q\nwant %q", services, test.services)
			}
			if len(table.Problems) != test.problems {
				t.Errorf("problems: got %q, want %d", table.Problems, test.problems)
			}
			slices.Reverse(test.objects.Ingresses)
			slices.Reverse(test.objects.Slices)
			if again := Build(test.objects); !reflect.DeepEqual(table, again) {
				t.Errorf("the order of the objects changes the table:\n%+v\n%+v", table, again)
			}
		})
	}
}

func TestBuildCertificates(t *testing.T) {
	in := newIngress("dev", "web", className("hks"), path("a.test", "/", "web", 80))
	in.Spec.TLS = []networkingv1.IngressTLS{
		{Hosts: []string{"A.test"}, SecretName: "cert"}, {SecretName: "cert"}, {SecretName: "absent"}, {Hosts: []string{"b.test"}},
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "dev", Name: "cert"},
		Data:       map[string][]byte{"tls.crt": []byte("chain"), "tls.key": []byte("key")},
	}
	table := Build(Objects{Ingresses: []*networkingv1.Ingress{in}, Secrets: []*corev1.Secret{secret}})
	want := Certificate{Hosts: []string{"a.test"}, Chain: []byte("chain"), Key: []byte("key")}
	if !reflect.DeepEqual(table.Certificates, []Certificate{want, want}) {
		t.Errorf("certificates: %+v", table.Certificates)
	}
	if len(table.Problems) != 1 || !strings.Contains(table.Problems[0], "absent") {
		t.Errorf("problems: %q, want the absent Secret named", table.Problems)
	}
}

// The builders below keep the tables readable.

func className(name string) *string { return &name }

func newClass(name string, isDefault bool) *networkingv1.IngressClass {
	class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if isDefault {
		class.Annotations = map[string]string{defaultAnnotation: "true"}
	}
	return class
}

func newIngress(namespace, name string, class *string, rules ...networkingv1.IngressRule) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       networkingv1.IngressSpec{IngressClassName: class, Rules: rules},
	}
}

func path(host, prefix, service string, number int32) networkingv1.IngressRule {
	return rule(host, prefix, networkingv1.PathTypePrefix, service, networkingv1.ServiceBackendPort{Number: number})
}

func namedPath(host, prefix, service, name string) networkingv1.IngressRule {
	return rule(host, prefix, networkingv1.PathTypePrefix, service, networkingv1.ServiceBackendPort{Name: name})
}

func rule(host, path string, kind networkingv1.PathType, service string, port networkingv1.ServiceBackendPort) networkingv1.IngressRule {
	return networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
		Paths: []networkingv1.HTTPIngressPath{{
			Path: path, PathType: &kind,
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service, Port: port}},
		}},
	}}}
}

func aged(in *networkingv1.Ingress, age time.Duration) *networkingv1.Ingress {
	in.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age))
	return in
}

func deleted(in *networkingv1.Ingress) *networkingv1.Ingress {
	now := metav1.Now()
	in.DeletionTimestamp = &now
	return in
}

func kubeService(namespace, name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{Ports: ports}}
}

func port(name string, number int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number}
}

func newSlice(namespace, service, portName string, number int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service + "-" + portName,
			Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &number}},
		Endpoints:   endpoints,
	}
}

func up(address string) discoveryv1.Endpoint     { return conditions(address, true, true, false) }
func down(address string) discoveryv1.Endpoint   { return conditions(address, false, false, false) }
func ending(address string) discoveryv1.Endpoint { return conditions(address, false, true, true) }

func conditions(address string, ready, serving, terminating bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
	}
}

func ingressTLS(secret string, hosts ...string) networkingv1.IngressTLS {
	return networkingv1.IngressTLS{Hosts: hosts, SecretName: secret}
}
