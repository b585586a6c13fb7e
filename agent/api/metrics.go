package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what the API counts of itself.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streams  prometheus.Gauge
	logins   *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hks_api_requests_total", Help: "Requests answered, by method, route and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hks_api_request_duration_seconds", Help: "Time to answer a request, by route.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 30},
		}, []string{"method", "route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "hks_api_streams", Help: "Event streams and sessions that are open."}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hks_api_logins_total", Help: "Attempts to log in, by result.",
		}, []string{"result"}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.duration, m.streams, m.logins} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the API's metrics: %w", err)
		}
	}
	return m, nil
}

// methodLabel bounds the label: a client may send any word as its method.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

func (m *metrics) request(method, route string, status int, took time.Duration, streamed bool) {
	method = methodLabel(method)
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if !streamed { // how long someone listened is no measure of ours
		m.duration.WithLabelValues(method, route).Observe(took.Seconds())
	}
}

func (m *metrics) login(err error) {
	result := "ok"
	if err != nil {
		result = "refused"
	}
	m.logins.WithLabelValues(result).Inc()
}

func (s *Server) getMetrics(c *gin.Context) error {
	promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP(c.Writer, c.Request)
	return nil
}
