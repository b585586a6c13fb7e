package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Goals of the gateway.
const (
	gatewayExtraP99   = 3 * time.Millisecond
	gatewayThroughput = 0.80 // of the backend's own
	gatewayIdleRSS    = 60 << 20
)

// BenchmarkGateway compares a GET through the gateway with the same GET
// straight to the backend, side by side in turns, and weighs the idle process:
//
//	paced     a steady 400 requests a second: what a visitor feels
//	app       a backend that takes 5 ms, 8 clients: what an app can take in
//	saturated a backend that takes no time, all cores busy: what the gateway
//	          itself costs; it shares the cores with clients and backend, so
//	          this figure has no goal
//
// Run it alone: go test -run '^$' -bench Gateway -benchtime 1x ./test/bench
func BenchmarkGateway(b *testing.B) {
	instant := newBackend(b, 0)
	slow := newBackend(b, 5*time.Millisecond)
	gateway := startGateway(b, map[string]string{"instant.test": instant, "slow.test": slow})

	b.Run("idle", func(b *testing.B) {
		for b.Loop() {
			idle := gateway.rss(b)
			report(b, "idle RSS", fmt.Sprintf("%.1f MB", megabytes(idle)), "60 MB", idle <= gatewayIdleRSS)
			b.ReportMetric(megabytes(idle), "MB")
		}
	})
	b.Run("paced", func(b *testing.B) {
		for b.Loop() {
			direct, through := compare(b, 8*time.Second, paced{rate: 400, workers: 16},
				target{address: instant, host: "instant.test"}, target{address: gateway.http, host: "instant.test"})
			extra := through.p(99) - direct.p(99)
			report(b, "paced", fmt.Sprintf("p50 %s, p99 %s against %s, %s straight; p99 %+.2f ms",
				through.p(50), through.p(99), direct.p(50), direct.p(99), millis(extra)), "+"+gatewayExtraP99.String(), extra <= gatewayExtraP99)
			b.ReportMetric(millis(extra), "p99-extra-ms")
		}
	})
	b.Run("app", func(b *testing.B) {
		for b.Loop() {
			direct, through := compare(b, 4*time.Second, closed{workers: 8},
				target{address: slow, host: "slow.test"}, target{address: gateway.http, host: "slow.test"})
			ratio := through.rate() / direct.rate()
			report(b, "app throughput", fmt.Sprintf("%.0f/s against %.0f/s straight = %.0f %%",
				through.rate(), direct.rate(), 100*ratio), "80 %", ratio >= gatewayThroughput)
			b.ReportMetric(ratio, "ratio")
		}
	})
	b.Run("saturated", func(b *testing.B) {
		for b.Loop() {
			spent := gateway.cpu(b)
			direct, through := compare(b, 4*time.Second, closed{workers: 32},
				target{address: instant, host: "instant.test"}, target{address: gateway.http, host: "instant.test"})
			perRequest := (gateway.cpu(b) - spent) / time.Duration(through.sent)
			b.Logf("%-16s %.0f/s against %.0f/s straight = %.0f %%, %s of a core a request; no goal", "saturated",
				through.rate(), direct.rate(), 100*through.rate()/direct.rate(), perRequest.Round(time.Microsecond))
			b.ReportMetric(through.rate()/direct.rate(), "ratio")
			b.ReportMetric(float64(perRequest.Nanoseconds())/1000, "cpu-us/request")
		}
	})
	b.Run("idle-again", func(b *testing.B) {
		for b.Loop() {
			busy := gateway.rss(b)
			time.Sleep(40 * time.Second) // two quiet spells: memory goes back
			after := gateway.rss(b)
			report(b, "RSS after load", fmt.Sprintf("%.1f MB, %.1f MB when idle again", megabytes(busy), megabytes(after)), "60 MB idle", after <= gatewayIdleRSS)
			b.ReportMetric(megabytes(after), "MB")
		}
	})
}

// report prints a figure beside its goal; a goal missed fails the benchmark.
func report(b *testing.B, name, figure, goal string, met bool) {
	b.Helper()
	if met {
		b.Logf("%-16s %s (goal %s)", name, figure, goal)
		return
	}
	b.Errorf("%-16s %s MISSES the goal %s", name, figure, goal)
}

// target is where requests go.
type target struct {
	address, host string
	any           bool // whatever page it answers
	query         string
}

// load is a way to send requests for a while.
type load interface {
	run(b *testing.B, to target, d time.Duration) turn
}

// compare loads both in turns, so that what else the machine does hits both.
func compare(b *testing.B, d time.Duration, l load, direct, through target) (first, second result) {
	b.Helper()
	const turns = 8
	first.add(l.run(b, direct, d/turns)) // warm both up
	second.add(l.run(b, through, d/turns))
	first.turns, second.turns = nil, nil
	for range turns {
		first.add(l.run(b, direct, d/turns))
		second.add(l.run(b, through, d/turns))
	}
	return first, second
}

// turn is what one run measured.
type turn struct {
	took    time.Duration
	latency []time.Duration // sorted
}

// result is what a load measured over several turns. Its figures are those of
// the median turn: one in which the machine was busy with something else does
// not count.
type result struct {
	turns []turn
	sent  int // warming up included
}

func (r *result) add(t turn) {
	slices.Sort(t.latency)
	r.turns = append(r.turns, t)
	r.sent += len(t.latency)
}

func (r *result) rate() float64 {
	return median(r.turns, func(t turn) float64 { return float64(len(t.latency)) / t.took.Seconds() })
}

func (r *result) p(percent int) time.Duration {
	return median(r.turns, func(t turn) time.Duration { return t.latency[(len(t.latency)-1)*percent/100] }).Round(10 * time.Microsecond)
}

func median[T cmp.Ordered](turns []turn, of func(turn) T) T {
	var figures []T
	for _, t := range turns {
		figures = append(figures, of(t))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// closed keeps each worker busy: the next request follows the answer.
type closed struct{ workers int }

func (l closed) run(b *testing.B, to target, d time.Duration) turn {
	b.Helper()
	stop := time.Now().Add(d)
	return work(b, l.workers, to, func() (time.Time, bool) {
		now := time.Now()
		return now, now.Before(stop)
	})
}

// paced sends at a fixed rate whatever the answers do; latency counts from
// when a request was due.
type paced struct{ rate, workers int }

func (l paced) run(b *testing.B, to target, d time.Duration) turn {
	b.Helper()
	var sent atomic.Int64
	began := time.Now()
	last := int64(d.Seconds() * float64(l.rate))
	return work(b, l.workers, to, func() (time.Time, bool) {
		i := sent.Add(1)
		due := began.Add(time.Duration(i) * time.Second / time.Duration(l.rate))
		time.Sleep(time.Until(due))
		return due, i <= last
	})
}

// work sends requests while next says so.
func work(b *testing.B, workers int, to target, next func() (time.Time, bool)) turn {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	var mu sync.Mutex // guards all
	var all []time.Duration
	var group sync.WaitGroup
	began := time.Now()
	for range workers {
		group.Go(func() {
			var own []time.Duration
			for due, more := next(); more; due, more = next() {
				if err := get(client, to); err != nil {
					b.Errorf("a request failed: %v", err)
					return
				}
				own = append(own, time.Since(due))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	group.Wait()
	return turn{took: time.Since(began), latency: all}
}

func get(client *http.Client, to target) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+to.address+"/?"+to.query, nil)
	if err != nil {
		return err
	}
	req.Host = to.host
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || (n != bodySize && !to.any) {
		return fmt.Errorf("status %d, %d bytes, %v", resp.StatusCode, n, err)
	}
	return nil
}

const bodySize = 2048

// newBackend serves a page that takes so long, and returns its address.
func newBackend(b *testing.B, takes time.Duration) string {
	b.Helper()
	page := []byte(strings.Repeat("x", bodySize))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(takes)
		_, _ = w.Write(page)
	}))
	b.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// gatewayProcess is a hks-gateway that runs.
type gatewayProcess struct {
	http string
	pid  int
}

// startGateway builds and runs hks-gateway on a cluster that holds these
// hosts with an endpoint each.
func startGateway(b *testing.B, hosts map[string]string) *gatewayProcess {
	b.Helper()
	root := b.TempDir()
	binary := filepath.Join(root, "hks-gateway")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "hks.dev/hks/cmd/hks-gateway")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building: %v\n%s", err, out)
	}
	p := &gatewayProcess{http: freePort(b)}
	write(b, filepath.Join(root, "etc/hks/config.yaml"), fmt.Sprintf("gateway: {http: %q, https: %q}\n", p.http, freePort(b)))
	cluster := httptest.NewServer(cluster(hosts))
	b.Cleanup(func() { cluster.CloseClientConnections(); cluster.Close() })
	write(b, filepath.Join(root, "var/lib/hks/gateway/kubeconfig"), fmt.Sprintf(
		`{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
"clusters":[{"name":"x","cluster":{"server":%q}}],"users":[{"name":"x","user":{}}]}`, cluster.URL))
	command := exec.Command(binary, "--root", root)
	command.Stderr = b.Output()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	p.pid = command.Process.Pid
	b.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil {
			b.Errorf("stopping the gateway: %v", err)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for host := range hosts {
		for get(http.DefaultClient, target{address: p.http, host: host}) != nil {
			if time.Now().After(deadline) {
				b.Fatal("the gateway never served " + host)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	time.Sleep(3 * time.Second) // to be idle
	return p
}

// rss is the process's resident memory.
func (p *gatewayProcess) rss(b *testing.B) int64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	b.Fatal("no VmRSS in /proc")
	return 0
}

// cpu is the time that the process spent on a core.
func (p *gatewayProcess) cpu(b *testing.B) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("reading /proc: %q", data)
	}
	const tick = time.Second / 100
	return time.Duration(user+system) * tick
}

// cluster answers the lists that the gateway asks for; its watches stay silent.
func cluster(hosts map[string]string) http.Handler {
	type object = map[string]any
	lists := map[string][]object{"ingresses": {}, "services": {}, "endpointslices": {}, "ingressclasses": {}, "secrets": {}}
	for host, address := range hosts {
		name := strings.TrimSuffix(host, ".test")
		ip, port, _ := net.SplitHostPort(address)
		number, _ := strconv.Atoi(port)
		metadata := object{"namespace": "dev", "name": name, "labels": object{"kubernetes.io/service-name": name}}
		backend := object{"service": object{"name": name, "port": object{"number": 80}}}
		lists["ingresses"] = append(lists["ingresses"], object{"metadata": metadata, "spec": object{"ingressClassName": "hks", "rules": []object{{
			"host": host, "http": object{"paths": []object{{"path": "/", "pathType": "Prefix", "backend": backend}}},
		}}}})
		lists["services"] = append(lists["services"], object{"metadata": metadata, "spec": object{"ports": []object{{"name": "http", "port": 80}}}})
		lists["endpointslices"] = append(lists["endpointslices"], object{
			"metadata": metadata, "addressType": "IPv4", "ports": []object{{"name": "http", "port": number}},
			"endpoints": []object{{"addresses": []string{ip}, "conditions": object{"ready": true}}},
		})
	}
	kinds := map[string][2]string{
		"ingresses": {"IngressList", "networking.k8s.io/v1"}, "ingressclasses": {"IngressClassList", "networking.k8s.io/v1"},
		"services": {"ServiceList", "v1"}, "secrets": {"SecretList", "v1"}, "endpointslices": {"EndpointSliceList", "discovery.k8s.io/v1"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := filepath.Base(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.FormValue("sendInitialEvents") != "": // the list form is simpler
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": http.StatusUnprocessableEntity})
		case r.FormValue("watch") != "":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_ = json.NewEncoder(w).Encode(object{
				"kind": kinds[resource][0], "apiVersion": kinds[resource][1],
				"metadata": object{"resourceVersion": "1"}, "items": lists[resource],
			})
		}
	})
}

func write(b *testing.B, path, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

func freePort(b *testing.B) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
