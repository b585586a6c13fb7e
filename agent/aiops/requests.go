package aiops

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"hks.dev/hks/agent"
)

// Gateway tells what it has counted, in the Prometheus text format.
type Gateway interface {
	Metrics(ctx context.Context) ([]byte, error)
}

// RequestFigures are the requests of one thing in one minute.
type RequestFigures struct {
	Subject agent.Subject
	Route   string // host and path
	Count   int
	Errors  int     // answers of 500 and above, and requests without an answer
	P95     float64 // milliseconds
}

// requestCounter works out what happened between two looks at the gateway's
// counters. Its owner has one goroutine.
type requestCounter struct {
	before map[routeKey]routeCount
}

type routeKey struct{ host, path, service string }

type routeCount struct {
	all, failed float64
	buckets     []bucketCount // by their bound, growing
}

type bucketCount struct{ bound, count float64 }

// look parses the counters and returns what was added since the last look:
// nothing at the first, and a counter that shrank began anew. subject tells
// whose service it is; ok is false for those of nobody.
func (c *requestCounter) look(text []byte, subject func(namespace, service string) (agent.Subject, bool)) ([]RequestFigures, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's counters: %w", err)
	}
	now := map[routeKey]routeCount{}
	for _, m := range families["hks_gateway_requests_total"].GetMetric() {
		key, code := routeKeyOf(m)
		count := now[key]
		count.all += m.GetCounter().GetValue()
		if code == "5xx" || code == "none" {
			count.failed += m.GetCounter().GetValue()
		}
		now[key] = count
	}
	for _, m := range families["hks_gateway_request_duration_seconds"].GetMetric() {
		key, _ := routeKeyOf(m)
		count := now[key]
		for _, b := range m.GetHistogram().GetBucket() {
			count.buckets = append(count.buckets, bucketCount{b.GetUpperBound(), float64(b.GetCumulativeCount())})
		}
		now[key] = count
	}
	before := c.before
	c.before = now
	if before == nil {
		return nil, nil
	}
	var all []RequestFigures
	for key, count := range now {
		namespace, rest, _ := strings.Cut(key.service, "/")
		name, _, _ := strings.Cut(rest, ":")
		of, ok := subject(namespace, name)
		if !ok {
			continue
		}
		was, ok := before[key]
		if !ok || count.all < was.all {
			was = routeCount{}
		}
		all = append(all, RequestFigures{Subject: of, Route: key.host + key.path, Count: int(count.all - was.all), Errors: int(count.failed - was.failed), P95: quantile(count.buckets, was.buckets, 0.95) * 1000})
	}
	return all, nil
}

func routeKeyOf(m *dto.Metric) (key routeKey, code string) {
	for _, l := range m.GetLabel() {
		switch l.GetName() {
		case "host":
			key.host = l.GetValue()
		case "path":
			key.path = l.GetValue()
		case "service":
			key.service = l.GetValue()
		case "code":
			code = l.GetValue()
		}
	}
	return key, code
}

// quantile estimates a quantile of what was added between two states of a
// cumulative histogram, by a straight line within the bucket, as Prometheus'
// histogram_quantile does. 0 when nothing was added.
func quantile(now, before []bucketCount, q float64) float64 {
	added := make([]bucketCount, len(now))
	for i, b := range now {
		added[i] = b
		if i < len(before) {
			added[i].count -= before[i].count
		}
	}
	if len(added) == 0 || added[len(added)-1].count <= 0 {
		return 0
	}
	want := q * added[len(added)-1].count
	var low bucketCount
	for _, b := range added {
		if b.count >= want {
			if math.IsInf(b.bound, 1) {
				return low.bound
			}
			if b.count == low.count {
				return b.bound
			}
			return low.bound + (b.bound-low.bound)*(want-low.count)/(b.count-low.count)
		}
		low = b
	}
	return low.bound
}

// requestsEach is how often the gateway's counters are read.
const requestsEach = time.Minute
