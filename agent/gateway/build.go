package gateway

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"hks.dev/hks/agent"
)

const (
	classAnnotation   = "kubernetes.io/ingress.class"
	defaultAnnotation = "ingressclass.kubernetes.io/is-default-class"
)

// Objects is what was listed from the cluster.
type Objects struct {
	Ingresses []*networkingv1.Ingress
	Classes   []*networkingv1.IngressClass // nil: not readable; hks then counts as the default class
	Services  []*corev1.Service
	Slices    []*discoveryv1.EndpointSlice
	Secrets   []*corev1.Secret
}

// Build makes the table of the objects. It is a pure function: the same
// objects, in whatever order, give the same table.
//
// Where two Ingresses claim the same host and path the older one has it.
func Build(objects Objects) Table {
	b := builder{
		services: byName(objects.Services),
		secrets:  byName(objects.Secrets),
		slices:   slicesByService(objects.Slices),
		claimed:  map[claim]string{},
		wanted:   map[string]Service{},
	}
	ours := slices.Clone(objects.Ingresses)
	ours = slices.DeleteFunc(ours, func(in *networkingv1.Ingress) bool { return !isOurs(in, objects.Classes) })
	slices.SortFunc(ours, func(a, b *networkingv1.Ingress) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, in := range ours {
		b.ingress(in)
	}
	return b.table()
}

// isOurs tells whether the gateway serves the Ingress.
func isOurs(in *networkingv1.Ingress, classes []*networkingv1.IngressClass) bool {
	if in.DeletionTimestamp != nil {
		return false
	}
	if in.Spec.IngressClassName != nil {
		return *in.Spec.IngressClassName == agent.IngressClass
	}
	if class, ok := in.Annotations[classAnnotation]; ok {
		return class == agent.IngressClass
	}
	if classes == nil {
		return true
	}
	return slices.ContainsFunc(classes, func(c *networkingv1.IngressClass) bool {
		return c.Name == agent.IngressClass && c.Annotations[defaultAnnotation] == "true"
	})
}

// claim is what an Ingress can own.
type claim struct {
	host, path string
	exact      bool
}

type builder struct {
	services map[string]*corev1.Service
	secrets  map[string]*corev1.Secret
	slices   map[string][]*discoveryv1.EndpointSlice

	routes   []Route
	claimed  map[claim]string // by which Ingress
	wanted   map[string]Service
	certs    []Certificate
	problems []string
}

func (b *builder) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *builder) ingress(in *networkingv1.Ingress) {
	if in.Spec.DefaultBackend != nil {
		b.route(in, "", "/", false, *in.Spec.DefaultBackend)
	}
	for _, rule := range in.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			exact := path.PathType != nil && *path.PathType == networkingv1.PathTypeExact
			b.route(in, strings.ToLower(rule.Host), cmp.Or(path.Path, "/"), exact, path.Backend)
		}
	}
	for _, tls := range in.Spec.TLS {
		b.certificate(in, tls)
	}
}

func (b *builder) route(in *networkingv1.Ingress, host, path string, exact bool, backend networkingv1.IngressBackend) {
	owner := in.Namespace + "/" + in.Name
	if backend.Service == nil {
		b.problem("Ingress %s: %s%s has no service behind it", owner, host, path)
		return
	}
	if !exact && path != "/" {
		path = strings.TrimRight(path, "/") // a prefix with or without the last slash is the same
	}
	key := claim{host: host, path: path, exact: exact}
	if by, taken := b.claimed[key]; taken {
		if by != owner {
			b.problem("Ingress %s: %s%s is already taken by Ingress %s", owner, host, path, by)
		}
		return
	}
	b.claimed[key] = owner
	message, maintenance := in.Annotations[agent.AnnotationMaintenance]
	b.routes = append(b.routes, Route{
		Host: host, Path: path, Exact: exact, Ingress: owner,
		Service:     b.service(in.Namespace, *backend.Service),
		Maintenance: maintenance, Message: message,
	})
}

// service notes the service and returns its ID. A service that is absent now
// has no endpoints; requests for it wait for some.
func (b *builder) service(namespace string, backend networkingv1.IngressServiceBackend) string {
	name := namespace + "/" + backend.Name
	port := cmp.Or(backend.Port.Name, strconv.Itoa(int(backend.Port.Number)))
	id := name + ":" + port
	if _, known := b.wanted[id]; known {
		return id
	}
	b.wanted[id] = Service{ID: id, Endpoints: b.endpoints(name, backend.Port)}
	return id
}

func (b *builder) endpoints(name string, port networkingv1.ServiceBackendPort) []string {
	service := b.services[name]
	if service == nil {
		return []string{}
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		b.problem("Service %s has type ExternalName, which the gateway does not follow", name)
		return []string{}
	}
	at := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		return (port.Name != "" && p.Name == port.Name) || (port.Name == "" && p.Port == port.Number)
	})
	if at < 0 {
		b.problem("Service %s has no port %s", name, cmp.Or(port.Name, strconv.Itoa(int(port.Number))))
		return []string{}
	}
	return readyAddresses(b.slices[name], service.Spec.Ports[at].Name)
}

// readyAddresses lists where the named port is served. Endpoints that still
// serve while they end are used only when there is no other.
func readyAddresses(endpointSlices []*discoveryv1.EndpointSlice, portName string) []string {
	var ready, ending []string
	for _, slice := range endpointSlices {
		port := portOf(slice, portName)
		if port == 0 || slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if len(endpoint.Addresses) == 0 {
				continue
			}
			address := net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(port)))
			is := endpoint.Conditions
			switch {
			case is.Ready == nil || *is.Ready:
				ready = append(ready, address)
			case is.Serving != nil && *is.Serving && is.Terminating != nil && *is.Terminating:
				ending = append(ending, address)
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.Sort(ready)
	return append([]string{}, slices.Compact(ready)...)
}

func portOf(slice *discoveryv1.EndpointSlice, name string) int32 {
	for _, port := range slice.Ports {
		if port.Port == nil || (port.Protocol != nil && *port.Protocol != corev1.ProtocolTCP) {
			continue
		}
		if (port.Name == nil && name == "") || (port.Name != nil && *port.Name == name) {
			return *port.Port
		}
	}
	return 0
}

func (b *builder) certificate(in *networkingv1.Ingress, tls networkingv1.IngressTLS) {
	if tls.SecretName == "" {
		return // the gateway's own certificate serves
	}
	secret := b.secrets[in.Namespace+"/"+tls.SecretName]
	if secret == nil {
		b.problem("Ingress %s/%s: there is no readable TLS Secret %s; the gateway's own certificate serves", in.Namespace, in.Name, tls.SecretName)
		return
	}
	hosts := slices.Clone(tls.Hosts)
	if len(hosts) == 0 {
		for _, rule := range in.Spec.Rules {
			hosts = append(hosts, rule.Host)
		}
	}
	for i := range hosts {
		hosts[i] = strings.ToLower(hosts[i])
	}
	hosts = slices.DeleteFunc(hosts, func(host string) bool { return host == "" })
	b.certs = append(b.certs, Certificate{
		Hosts: hosts,
		Chain: secret.Data[corev1.TLSCertKey],
		Key:   secret.Data[corev1.TLSPrivateKeyKey],
	})
}

func (b *builder) table() Table {
	t := Table{Routes: append([]Route{}, b.routes...), Services: []Service{}, Problems: b.problems, Certificates: b.certs}
	slices.SortFunc(t.Routes, func(x, y Route) int {
		return cmp.Or(cmp.Compare(x.Host, y.Host), bySpecificity(x, y))
	})
	for _, service := range b.wanted {
		t.Services = append(t.Services, service)
	}
	slices.SortFunc(t.Services, func(x, y Service) int { return cmp.Compare(x.ID, y.ID) })
	slices.Sort(t.Problems)
	return t
}

// bySpecificity orders the routes of a host as they are tried: the longest
// path first, and the exact one before the prefix of the same length.
func bySpecificity(x, y Route) int {
	if c := cmp.Compare(len(y.Path), len(x.Path)); c != 0 {
		return c
	}
	if x.Exact != y.Exact {
		if x.Exact {
			return -1
		}
		return 1
	}
	return cmp.Compare(x.Path, y.Path)
}

type named interface {
	GetNamespace() string
	GetName() string
}

func byName[T named](objects []T) map[string]T {
	found := make(map[string]T, len(objects))
	for _, object := range objects {
		found[object.GetNamespace()+"/"+object.GetName()] = object
	}
	return found
}

func slicesByService(all []*discoveryv1.EndpointSlice) map[string][]*discoveryv1.EndpointSlice {
	found := map[string][]*discoveryv1.EndpointSlice{}
	for _, slice := range all {
		if service := slice.Labels[discoveryv1.LabelServiceName]; service != "" {
			name := slice.Namespace + "/" + service
			found[name] = append(found[name], slice)
		}
	}
	return found
}
