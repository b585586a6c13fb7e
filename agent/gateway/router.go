package gateway

import (
	"cmp"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Source says where a table came from.
type Source string

// The sources.
const (
	SourceNone    Source = "none"    // nothing is known yet
	SourceDisk    Source = "disk"    // routes.json, until the cluster answers
	SourceCluster Source = "cluster" // listed from the Kubernetes API
)

// router is a Table made ready for look-ups. It is never changed: a change in
// the cluster makes another, which takes its place in a holder.
type router struct {
	table     Table
	source    Source
	builtAt   time.Time
	hosts     map[string][]*route // exact host -> its routes, in the order they are tried
	below     map[string][]*route // "x" of a host "*.x"
	any       []*route            // routes of no host
	services  map[string]*service
	addresses map[string]bool             // of all endpoints
	certs     map[string]*tls.Certificate // by host or "*.x"
	replaced  chan struct{}               // closed when another took this one's place
}

// route is a Route with what its requests need.
type route struct {
	Route
	stats *routeStats
}

// newRouter compiles the table. What is known of endpoints (requests under
// way, failures) is carried over from the router before; stats gives the
// counters of a route.
func newRouter(table Table, source Source, now time.Time, before *router, stats func(Route) *routeStats) (*router, []error) {
	r := &router{
		table: table, source: source, builtAt: now,
		hosts: map[string][]*route{}, below: map[string][]*route{},
		services:  make(map[string]*service, len(table.Services)),
		addresses: map[string]bool{},
		certs:     map[string]*tls.Certificate{},
		replaced:  make(chan struct{}),
	}
	for _, s := range table.Services {
		var known *service
		if before != nil {
			known = before.services[s.ID]
		}
		r.services[s.ID] = newService(s, known)
		for _, address := range s.Endpoints {
			r.addresses[address] = true
		}
	}
	sorted := slices.Clone(table.Routes)
	slices.SortStableFunc(sorted, bySpecificity)
	for _, found := range sorted {
		compiled := &route{Route: found, stats: stats(found)}
		if suffix, wild := strings.CutPrefix(found.Host, "*."); wild {
			r.below[suffix] = append(r.below[suffix], compiled)
		} else if found.Host != "" {
			r.hosts[found.Host] = append(r.hosts[found.Host], compiled)
		} else {
			r.any = append(r.any, compiled)
		}
	}
	return r, r.addCertificates(table.Certificates)
}

func (r *router) addCertificates(certificates []Certificate) []error {
	var problems []error
	for _, c := range certificates {
		pair, err := tls.X509KeyPair(c.Chain, c.Key)
		if err != nil {
			problems = append(problems, certificateError(c.Hosts, err))
			continue
		}
		for _, host := range c.Hosts {
			if _, taken := r.certs[host]; !taken {
				r.certs[host] = &pair
			}
		}
	}
	return problems
}

// find returns the route of a request, or nil. An exact host wins over a
// wildcard and that over none, each only if it has a route for the path.
func (r *router) find(host, path string) *route {
	if found := match(r.hosts[host], path); found != nil {
		return found
	}
	if _, suffix, ok := strings.Cut(host, "."); ok {
		if found := match(r.below[suffix], path); found != nil {
			return found
		}
	}
	return match(r.any, path)
}

func match(routes []*route, path string) *route {
	path = cmp.Or(path, "/")
	for _, candidate := range routes {
		if candidate.matches(path) {
			return candidate
		}
	}
	return nil
}

func (r *Route) matches(path string) bool {
	if r.Exact {
		return path == r.Path
	}
	rest, ok := strings.CutPrefix(path, r.Path)
	return ok && (rest == "" || rest[0] == '/' || r.Path == "/")
}

// knows tells whether any route is for the host by name; certificates are
// made for such hosts only.
func (r *router) knows(host string) bool {
	if len(r.hosts[host]) > 0 {
		return true
	}
	_, suffix, ok := strings.Cut(host, ".")
	return ok && len(r.below[suffix]) > 0
}

// certificate returns the certificate that an Ingress brings for the host, or nil.
func (r *router) certificate(host string) *tls.Certificate {
	if c := r.certs[host]; c != nil {
		return c
	}
	if _, suffix, ok := strings.Cut(host, "."); ok {
		return r.certs["*."+suffix]
	}
	return nil
}

// hostOf is the host of a Host header or server name, as tables have it.
func hostOf(hostport string) string {
	host := hostport
	if strings.IndexByte(hostport, ':') >= 0 {
		if h, _, err := net.SplitHostPort(hostport); err == nil {
			host = h
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// holder holds the router in use.
type holder struct {
	current atomic.Pointer[router]
	mu      sync.Mutex // serialises swaps
}

func newHolder() *holder {
	h := &holder{}
	empty, _ := newRouter(Table{Routes: []Route{}, Services: []Service{}}, SourceNone, time.Time{}, nil, nil)
	h.current.Store(empty)
	return h
}

func (h *holder) load() *router { return h.current.Load() }

// swap puts the router that next makes of the one before in its place, and
// wakes those who wait for a change.
func (h *holder) swap(next func(before *router) *router) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.current.Load()
	h.current.Store(next(before))
	close(before.replaced)
}
