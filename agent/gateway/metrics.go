package gateway

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics counts requests by route. Only routes of the table get labels of
// their own, and lose them when the table loses the route: what clients make
// up cannot fill the memory.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	retries  *prometheus.CounterVec
	unknown  *routeStats // of requests without a route

	mu    sync.Mutex // guards known
	known map[routeLabels]*routeStats
}

type routeLabels struct{ host, path, service string }

// routeStats holds the counters of one route, looked up once.
type routeStats struct {
	inFlight prometheus.Gauge
	duration prometheus.Observer
	retries  prometheus.Counter
	classes  [6]prometheus.Counter // by the first digit of the status; 0: no answer was begun
}

func newMetrics() *metrics {
	labels := []string{"host", "path", "service"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hks_gateway_requests_total", Help: "Requests ended, by route and class of status.",
		}, append(labels, "code")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hks_gateway_request_duration_seconds", Help: "Time from the request's headers to the end of the answer, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, labels),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hks_gateway_requests_in_flight", Help: "Requests under way, by route.",
		}, labels),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hks_gateway_retries_total", Help: "Tries after the first, by route.",
		}, labels),
		known: map[routeLabels]*routeStats{},
	}
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.retries,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.unknown = m.newStats(routeLabels{host: "unknown", path: "unknown", service: "unknown"})
	return m
}

func (m *metrics) newStats(l routeLabels) *routeStats {
	values := []string{l.host, l.path, l.service}
	s := &routeStats{
		inFlight: m.inFlight.WithLabelValues(values...),
		duration: m.duration.WithLabelValues(values...),
		retries:  m.retries.WithLabelValues(values...),
	}
	for class := range s.classes {
		code := strconv.Itoa(class) + "xx"
		if class == 0 {
			code = "none"
		}
		s.classes[class] = m.requests.WithLabelValues(append(values, code)...)
	}
	return s
}

// of returns the counters of the route.
func (m *metrics) of(r Route) *routeStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	labels := routeLabels{r.Host, r.Path, r.Service}
	if m.known[labels] == nil {
		m.known[labels] = m.newStats(labels)
	}
	return m.known[labels]
}

// forget drops the counters of routes that the table has no more.
func (m *metrics) forget(table Table) {
	live := make(map[routeLabels]bool, len(table.Routes))
	for _, r := range table.Routes {
		live[routeLabels{r.Host, r.Path, r.Service}] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for l := range m.known {
		if live[l] {
			continue
		}
		delete(m.known, l)
		match := prometheus.Labels{"host": l.host, "path": l.path, "service": l.service}
		m.requests.DeletePartialMatch(match)
		m.duration.DeletePartialMatch(match)
		m.inFlight.DeletePartialMatch(match)
		m.retries.DeletePartialMatch(match)
	}
}

// done counts a request that ended.
func (s *routeStats) done(status int, took time.Duration, retries int) {
	s.classes[min(status/100, len(s.classes)-1)].Inc()
	s.duration.Observe(took.Seconds())
	if retries > 0 {
		s.retries.Add(float64(retries))
	}
}

// observe adds what is read from the gateway when it is asked for.
func (m *metrics) observe(g *Gateway) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("hks_gateway_routes", "Routes in the table.", func() float64 {
		return float64(len(g.routes.load().table.Routes))
	})
	gauge("hks_gateway_table_built_timestamp_seconds", "When the table in use was built.", func() float64 {
		return float64(g.routes.load().builtAt.Unix())
	})
	gauge("hks_gateway_api_connected", "1 while the Kubernetes API answers.", func() float64 {
		if g.api.status().State == apiConnected {
			return 1
		}
		return 0
	})
}
