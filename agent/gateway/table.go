package gateway

// Table is all routes at one moment: plain data, the JSON of GET /routes and
// of routes.json. It is built by Build and never changed.
type Table struct {
	Routes   []Route   `json:"routes"`
	Services []Service `json:"services"`
	Problems []string  `json:"problems,omitempty"` // what could not be routed, in plain words

	Certificates []Certificate `json:"-"` // of Ingress.spec.tls; kept apart, they hold private keys
}

// Route sends the requests of a host and path to a service.
type Route struct {
	Host    string `json:"host"`            // "" is any host, "*.x" one label below x
	Path    string `json:"path"`            // begins with /
	Exact   bool   `json:"exact,omitempty"` // the path itself only; else it and all below
	Service string `json:"service"`         // ID of a Service, which may be absent
	Ingress string `json:"ingress"`         // namespace/name that asked for it

	Maintenance bool   `json:"maintenance,omitempty"` // the gateway answers in place of the app
	Message     string `json:"message,omitempty"`     // with these words; empty: its own
}

// Service is one port of a Kubernetes Service with what serves it now.
type Service struct {
	ID        string   `json:"id"`        // namespace/name:port
	Endpoints []string `json:"endpoints"` // address:port, ready, sorted
}

// Certificate is a TLS Secret that an Ingress names for its hosts.
type Certificate struct {
	Hosts []string `json:"hosts"`
	Chain []byte   `json:"chain"` // PEM
	Key   []byte   `json:"key"`   // PEM
}
