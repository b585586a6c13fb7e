// Package gateway is the data plane of hks: it listens on ports 80 and 443,
// finds the route of a request by host and path, and proxies it straight to a
// ready pod. It is Caddy as a library, in a process of its own (hks-gateway)
// that goes on serving while the agent or the Kubernetes API is away.
//
// How the parts meet:
//
//	watch.go    lists and watches Ingresses, Services, EndpointSlices, Secrets
//	build.go    makes a Table of them: plain data, a pure function
//	table.go    the Table's types
//	router.go   a Table made ready for look-ups, swapped atomically; never changed
//	service.go  chooses an endpoint of a service, sets failing ones aside
//	route.go    Caddy handler: route -> endpoint -> proxy, waits and tries again
//	modules.go  the other Caddy modules, and how they reach their Gateway
//	caddy.go    Caddy's settings; fixed for the life of the process
//
// A change in the cluster makes a new router and nothing else: Caddy is never
// reloaded, and no connection is dropped.
//
// Two things are process-wide because Caddy is: its modules are registered
// once by name, and one configuration runs at a time. So a process runs one
// Gateway at a time; a second Start before Stop is refused.
package gateway
