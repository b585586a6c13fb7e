package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// rig is a gateway that runs against an API double.
type rig struct {
	t   *testing.T
	cfg Config
	api *apiDouble
	g   *Gateway
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, api: newAPIDouble(t), cfg: testConfig(t)}
	for _, c := range change {
		c(&r.cfg)
	}
	r.api.kubeconfig(r.cfg.Kubeconfig)
	return r
}

func testConfig(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "gateway")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // Caddy's own clean-up of its storage may write a little longer
		for range 50 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Error(err)
	})
	cfg := Config{
		HTTP: freeAddress(t), HTTPS: freeAddress(t), State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "gw.sock"),
		Kubeconfig: filepath.Join(dir, "kubeconfig"), AccessLog: filepath.Join(dir, "access.log"),
		Hold: 5 * time.Second, LogLevel: "error", Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	return cfg
}

func (r *rig) start() {
	r.t.Helper()
	g, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := g.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.g = g
	r.t.Cleanup(r.stop)
}

func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.g.Stop(ctx); err != nil {
		r.t.Error(err)
	}
}

// app gives the cluster an app with a host of its own and these backends.
func (r *rig) app(name string, backends ...*httptest.Server) {
	r.t.Helper()
	r.api.apply(
		newIngress("dev", name, className("hks"), path(name+".localhost", "/", name, 80)),
		kubeService("dev", name, port("http", 80)),
	)
	r.backends(name, backends...)
}

// backends makes these and no others the app's ready endpoints.
func (r *rig) backends(name string, backends ...*httptest.Server) {
	r.t.Helper()
	const most = 3 // a slice each: backends differ in their port
	for i := range most {
		slice := newSlice("dev", name, "http", 1)
		slice.Name += strconv.Itoa(i)
		if i < len(backends) {
			host, p, _ := net.SplitHostPort(backends[i].Listener.Addr().String())
			number, _ := strconv.Atoi(p)
			*slice.Ports[0].Port = int32(number)
			slice.Endpoints = []discoveryv1.Endpoint{up(host)}
		}
		r.api.apply(slice)
	}
}

// get asks the gateway for a path of a host.
func (r *rig) get(host, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.cfg.HTTP+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

// admin asks the status socket.
func (r *rig) admin(path string) (int, string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.cfg.Socket)
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://gateway" + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline.C:
			t.Fatal("never happened: " + what)
		case <-tick.C:
		}
	}
}

func (r *rig) routed(host string) {
	r.t.Helper()
	eventually(r.t, "a route for "+host, func() bool { return r.g.routes.load().knows(host) })
}

// synced waits until the table is the cluster's.
func (r *rig) synced() {
	r.t.Helper()
	eventually(r.t, "a table from the cluster", func() bool { return r.g.routes.load().source == SourceCluster })
}

func (r *rig) endpoints(name string, count int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d endpoints of %s", count, name), func() bool {
		s := r.g.routes.load().services["dev/"+name+":80"]
		return s != nil && len(s.endpoints) == count
	})
}

// backend answers with its name and counts what it was asked.
func backend(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Backend", name)
		fmt.Fprintf(w, "%s %s %d", name, r.URL.Path, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRoutesByHostAndPath(t *testing.T) {
	r := newRig(t)
	web, api := backend(t, "web"), backend(t, "api")
	r.app("web", web)
	r.app("api", api)
	r.api.apply(newIngress("dev", "both", className("hks"), path("both.test", "/", "web", 80), path("both.test", "/api", "api", 80)))
	r.start()
	r.endpoints("web", 1)
	r.endpoints("api", 1)
	for _, test := range []struct{ host, path, want string }{
		{"web.localhost", "/a%2Fb?x=1", "web /a/b 0"},
		{"API.localhost:80", "/", "api / 0"},
		{"both.test", "/api/v1", "api /api/v1 0"},
		{"both.test", "/apis", "web /apis 0"},
	} {
		if resp, body := r.get(test.host, test.path); resp.StatusCode != 200 || body != test.want {
			t.Errorf("%s%s: %d %q, want %q", test.host, test.path, resp.StatusCode, body, test.want)
		}
	}
	r.api.delete(newIngress("dev", "both", nil))
	eventually(t, "the route is gone", func() bool { return !r.g.routes.load().knows("both.test") })
	resp, body := r.get("both.test", "/", "Accept", "text/html,*/*")
	if resp.StatusCode != 404 || resp.Header.Get(errorHeader) != "NO_ROUTE" || !strings.Contains(body, "<h1>No app is reachable at both.test.</h1>") {
		t.Errorf("got %d %v\n%s", resp.StatusCode, resp.Header, body)
	}
	resp, body = r.get("both.test", "/")
	var answer struct {
		Error struct{ Code, Message, Fix string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error.Code != "NO_ROUTE" || answer.Error.Fix == "" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v %q, error %v", resp.Header, body, err)
	}
}

// A17: a new version under load drops no request.
func TestA17EndpointsReplacedUnderLoadLoseNoRequest(t *testing.T) {
	r := newRig(t)
	current := backend(t, "0")
	r.app("web", current)
	r.start()
	r.endpoints("web", 1)

	load := startLoad(t, r.cfg.HTTP, "web.localhost", 8)
	const rollouts = 25
	for i := range rollouts {
		next := backend(t, strconv.Itoa(i+1))
		r.backends("web", current, next)
		r.endpoints("web", 2)
		load.more(50)
		if i%2 == 0 { // the instance ends after the table knows ...
			r.backends("web", next)
			r.endpoints("web", 1)
			shutdown(t, current)
		} else { // ... or before
			shutdown(t, current)
			load.more(20)
			r.backends("web", next)
			r.endpoints("web", 1)
		}
		load.more(50)
		current = next
	}
	load.stop()
	t.Logf("%d requests, %d failed, over %d rollouts", load.done.Load(), len(load.failures), rollouts)
	if len(load.failures) > 0 {
		t.Errorf("failed requests: %q", load.failures[:min(len(load.failures), 5)])
	}
}

// shutdown ends a backend as an app that handles SIGTERM does.
func shutdown(t *testing.T, s *httptest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Config.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// loop asks for a host again and again.
type loop struct {
	t    *testing.T
	done atomic.Int64
	quit chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex // guards failures
	failures []string
}

func startLoad(t *testing.T, address, host string, workers int) *loop {
	l := &loop{t: t, quit: make(chan struct{})}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: 15 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	for range workers {
		l.work.Go(func() {
			for {
				select {
				case <-l.quit:
					return
				default:
					l.once(client, address, host)
				}
			}
		})
	}
	return l
}

func (l *loop) once(client *http.Client, address, host string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+address+"/load", nil)
	if err != nil {
		l.fail(err.Error())
		return
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		l.fail(err.Error())
		return
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.HasSuffix(string(body), "/load 0") {
		l.fail(fmt.Sprintf("%d %q %v", resp.StatusCode, body, err))
	}
	l.done.Add(1)
}

func (l *loop) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, what)
}

// more waits until so many further requests ended.
func (l *loop) more(n int64) {
	l.t.Helper()
	want := l.done.Load() + n
	eventually(l.t, "more requests", func() bool { return l.done.Load() >= want })
}

func (l *loop) stop() {
	close(l.quit)
	l.work.Wait()
}

func TestFailedDialsGoToAnotherEndpoint(t *testing.T) {
	r := newRig(t)
	dead, alive := backend(t, "dead"), backend(t, "alive")
	dead.Close()
	r.app("web", dead, alive)
	r.start()
	r.endpoints("web", 2)
	for i := range 20 {
		if resp, body := r.get("web.localhost", "/"); resp.StatusCode != 200 || body != "alive / 0" {
			t.Fatalf("request %d: %d %s", i, resp.StatusCode, body)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.cfg.HTTP+"/", strings.NewReader(strings.Repeat("x", 1<<20)))
	req.Host = "web.localhost"
	for _, e := range r.g.routes.load().services["dev/web:80"].endpoints {
		e.reached() // so that the dead one is tried again
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "alive / 1048576" {
		t.Errorf("a POST over a failed dial arrived as %q", body)
	}
	_, text := r.admin("/metrics")
	if !strings.Contains(text, `hks_gateway_retries_total{host="web.localhost",path="/",service="dev/web:80"} `) {
		t.Error("retries are not counted")
	}
}

// The address of a pod that is gone is silent. A dial to it ends when the table
// drops the address, not when its time is up.
func TestDialsToInstancesThatAreGoneAreGivenUp(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Dial, c.Hold = 5*time.Minute, 5*time.Minute })
	silent := silentServer(t)
	r.app("web", silent)
	r.start()
	r.endpoints("web", 1)
	answer := make(chan string, 1)
	go func() {
		_, body := r.get("web.localhost", "/")
		answer <- body
	}()
	eventually(t, "the dial is under way", func() bool {
		return r.g.routes.load().services["dev/web:80"].endpoints[0].inFlight.Load() == 1
	})
	r.backends("web", backend(t, "alive"))
	select {
	case got := <-answer:
		if got != "alive / 0" {
			t.Errorf("got %q", got)
		}
	case <-time.After(time.Minute):
		t.Error("the request still waits for an instance that is gone")
	}
}

// silentServer listens and accepts nothing: its queue is full, so that a
// further connection is neither made nor refused.
func silentServer(t *testing.T) *httptest.Server {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for { // until one is left without an answer
		conn, err := net.DialTimeout("tcp", address.String(), 300*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	return &httptest.Server{Listener: addressOnly{address}}
}

// addressOnly is a listener of which only the address is asked.
type addressOnly struct{ address net.Addr }

func (a addressOnly) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (a addressOnly) Close() error              { return nil }
func (a addressOnly) Addr() net.Addr            { return a.address }

// A request whose body was read by an instance is never sent to another.
func TestPartlySentRequestsAreNotRepeated(t *testing.T) {
	r := newRig(t)
	var asked atomic.Int64
	dying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		_, _ = io.ReadFull(req.Body, make([]byte, 10))
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(dying.Close)
	r.app("web", dying)
	r.start()
	r.endpoints("web", 1)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		asked.Store(0)
		req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+r.cfg.HTTP+"/", strings.NewReader(strings.Repeat("x", 1<<20)))
		req.Host = "web.localhost"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 502 || resp.Header.Get(errorHeader) != "UPSTREAM_FAILED" || asked.Load() != 1 {
			t.Errorf("%s: %d %s, asked %d times; want one try and UPSTREAM_FAILED", method, resp.StatusCode, resp.Header.Get(errorHeader), asked.Load())
		}
	}
}

// An instance that dies before it answers: what has no effect is asked of another.
func TestGetIsRepeatedWhenTheInstanceDies(t *testing.T) {
	r := newRig(t)
	var asked atomic.Int64
	dying := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(dying.Close)
	r.app("web", dying, backend(t, "alive"))
	r.start()
	r.endpoints("web", 2)
	for range 10 {
		if resp, body := r.get("web.localhost", "/"); body != "alive / 0" {
			t.Fatalf("got %d %s", resp.StatusCode, body)
		}
	}
	asked.Store(0)
	r.backends("web", dying)
	r.endpoints("web", 1)
	resp, _ := r.get("web.localhost", "/")
	if resp.StatusCode != 502 || asked.Load() > 2*(maxResets+1) { // net/http itself asks twice on a kept connection
		t.Errorf("got %d after %d tries; a request that kills instances is not sent on and on", resp.StatusCode, asked.Load())
	}
}

func TestEmptyServiceHoldsThenServes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Hold = 20 * time.Second })
	r.app("web")
	r.start()
	r.routed("web.localhost")
	const waiting = 5
	answers := make(chan string, waiting)
	for range waiting {
		go func() {
			resp, body := r.get("web.localhost", "/")
			answers <- fmt.Sprint(resp.StatusCode, " ", body)
		}()
	}
	eventually(t, "requests wait", func() bool {
		_, text := r.admin("/metrics")
		return strings.Contains(text, `hks_gateway_requests_in_flight{host="web.localhost",path="/",service="dev/web:80"} 5`)
	})
	r.backends("web", backend(t, "late"))
	for range waiting {
		if got := <-answers; got != "200 late / 0" {
			t.Errorf("a held request got %q", got)
		}
	}
}

func TestNoInstanceInTimeIs503(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Hold = 300 * time.Millisecond })
	r.app("web")
	dead := backend(t, "dead")
	dead.Close()
	r.app("dead", dead)
	r.start()
	r.routed("web.localhost")
	r.endpoints("dead", 1)
	began := time.Now()
	resp, body := r.get("web.localhost", "/", "Accept", "text/html")
	if took := time.Since(began); resp.StatusCode != 503 || took < 300*time.Millisecond {
		t.Errorf("got %d after %s", resp.StatusCode, took)
	}
	if resp.Header.Get(errorHeader) != "NO_READY_INSTANCE" || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "hks app list") {
		t.Errorf("got %v %s", resp.Header, body)
	}
	resp, _ = r.get("dead.localhost", "/")
	if resp.StatusCode != 502 || resp.Header.Get(errorHeader) != "UPSTREAM_FAILED" {
		t.Errorf("an endpoint that refuses: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestForwardedHeadersCannotBeSpoofed(t *testing.T) {
	r := newRig(t)
	seen := make(chan http.Header, 10)
	echo := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { seen <- req.Header.Clone() }))
	t.Cleanup(echo.Close)
	r.app("web", echo)
	r.start()
	r.endpoints("web", 1)
	resp, _ := r.get("web.localhost", "/",
		"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.test", "X-Forwarded-Prefix", "/evil",
		"Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6", "X-Request-Id", "bad id;", "Connection", "close, X-Secret-Hop", "X-Secret-Hop", "1",
		"Proxy-Authorization", "x", "X_Forwarded_For", "6.6.6.6")
	got := <-seen
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "web.localhost", "X-Forwarded-Prefix": "",
		"Forwarded": "", "X-Real-Ip": "127.0.0.1", "X-Secret-Hop": "", "Proxy-Authorization": "",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), "6.6.6.6") {
			t.Errorf("the spoofed address arrived in %s", name)
		}
	}
	if id := got.Get("X-Request-Id"); id == "" || id == "bad id;" || id != resp.Header.Get("X-Request-Id") {
		t.Errorf("request id %q, answered %q", id, resp.Header.Get("X-Request-Id"))
	}
	r.get("web.localhost", "/", "X-Request-Id", "trace-1.a_B")
	if id := (<-seen).Get("X-Request-Id"); id != "trace-1.a_B" {
		t.Errorf("a fit request id became %q", id)
	}
}

func TestWebSocketUpgradePassesBothWays(t *testing.T) {
	r := newRig(t)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = buffered.Flush()
		line, _ := buffered.ReadString('\n')
		_, _ = buffered.WriteString("echo " + line)
		_ = buffered.Flush()
	}))
	t.Cleanup(echo.Close)
	r.app("web", echo)
	r.start()
	r.endpoints("web", 1)
	conn, err := net.Dial("tcp", r.cfg.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: web.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	// a change of the table does not end the connection
	r.app("other", backend(t, "other"))
	r.routed("other.localhost")
	fmt.Fprintf(conn, "hello\n")
	if line, err := reader.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestStreamsAreFlushedAsTheyCome(t *testing.T) {
	r := newRig(t)
	next := make(chan struct{})
	stream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	t.Cleanup(stream.Close)
	r.app("web", stream)
	r.start()
	r.endpoints("web", 1)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.cfg.HTTP+"/", nil)
	req.Host = "web.localhost"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reader := bufio.NewReader(resp.Body)
	for i := range 3 { // the next is sent only once this one was seen
		if line, err := reader.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("got %q, %v", line, err)
		}
		_, _ = reader.ReadString('\n')
		next <- struct{}{}
	}
}

func TestTLSByTheLocalAuthority(t *testing.T) {
	r := newRig(t)
	r.app("web", backend(t, "web"))
	r.start()
	r.endpoints("web", 1)
	code, root := r.admin("/ca.crt")
	pool := x509.NewCertPool()
	if code != 200 || !pool.AppendCertsFromPEM([]byte(root)) {
		t.Fatalf("/ca.crt: %d %s", code, root)
	}
	for _, version := range []bool{false, true} {
		client := tlsClient(r.cfg.HTTPS, pool)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = version
		resp, err := client.Get("https://web.localhost/secure")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != "web /secure 0" || (resp.ProtoMajor == 2) != version {
			t.Errorf("got %s %q", resp.Proto, body)
		}
		client.CloseIdleConnections()
	}
	if _, err := tlsClient(r.cfg.HTTPS, pool).Get("https://nobody.localhost/"); err == nil {
		t.Error("a host without a route got a certificate")
	}

	// the TLS Secret of an Ingress goes before, at once
	cert, chain, key := selfSigned(t, "web.localhost")
	in := newIngress("dev", "web", className("hks"), path("web.localhost", "/", "web", 80))
	in.Spec.TLS = append(in.Spec.TLS, ingressTLS("web-cert", "web.localhost"))
	r.api.apply(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "dev", Name: "web-cert"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": chain, "tls.key": key},
	}, in)
	eventually(t, "the Secret is in the table", func() bool { return r.g.routes.load().certificate("web.localhost") != nil })
	own := x509.NewCertPool()
	own.AddCert(cert)
	resp, err := tlsClient(r.cfg.HTTPS, own).Get("https://web.localhost/secure")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	// and survives a restart without the cluster
	eventually(t, "it is on disk", func() bool {
		data, _ := os.ReadFile(filepath.Join(r.cfg.State, certificatesFile))
		return bytes.Contains(data, []byte("web.localhost"))
	})
	routes, _ := os.ReadFile(filepath.Join(r.cfg.State, routesFile))
	if bytes.Contains(routes, []byte("PRIVATE")) {
		t.Error("routes.json holds a private key")
	}
	r.stop()
	r.api.down()
	r.start()
	if resp, err = tlsClient(r.cfg.HTTPS, own).Get("https://web.localhost/secure"); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, again := r.admin("/ca.crt"); again != root {
		t.Error("the local authority changed over a restart")
	}
}

func tlsClient(address string, pool *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}}
}

func selfSigned(t *testing.T, host string) (cert *x509.Certificate, chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ = x509.ParseCertificate(der)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestServesWhileTheAPIIsAway(t *testing.T) {
	r := newRig(t)
	r.app("web", backend(t, "web"))
	r.start()
	r.endpoints("web", 1)
	eventually(t, "routes are on disk", func() bool {
		table, _, err := r.g.files.load()
		return err == nil && table != nil && len(table.Routes) == 1 && len(table.Services[0].Endpoints) == 1
	})
	r.api.down()
	eventually(t, "the API is seen as away", func() bool { return r.g.api.status().State == apiAway })
	if _, body := r.get("web.localhost", "/"); body != "web / 0" {
		t.Errorf("with the API away: %q", body)
	}
	r.stop()
	r.start()
	code, text := r.admin("/healthz")
	var health Health
	if err := json.Unmarshal([]byte(text), &health); err != nil || code != 200 || !health.OK || health.Source != SourceDisk || health.Routes != 1 {
		t.Errorf("health after a restart without the API: %d %s", code, text)
	}
	if _, body := r.get("web.localhost", "/"); body != "web / 0" {
		t.Errorf("after a restart without the API: %q", body)
	}
	r.app("new", backend(t, "new"))
	r.api.up()
	r.routed("new.localhost")
	r.synced()
	if _, body := r.get("new.localhost", "/"); body != "new / 0" {
		t.Errorf("after the API is back: %q", body)
	}
	if state := r.g.api.status(); state.State != apiConnected || state.Error != "" {
		t.Errorf("API state %+v", state)
	}
}

func TestWaitsForItsCredentialAndFollowsIt(t *testing.T) {
	r := newRig(t)
	if err := os.Remove(r.cfg.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	r.app("web", backend(t, "web"))
	r.start()
	code, text := r.admin("/healthz")
	if code != 503 || !strings.Contains(text, `"state":"waiting"`) {
		t.Errorf("without a credential: %d %s", code, text)
	}
	if err := os.WriteFile(r.cfg.Kubeconfig, []byte("no kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.api.kubeconfig(r.cfg.Kubeconfig)
	r.endpoints("web", 1)
	if code, text = r.admin("/healthz"); code != 200 {
		t.Errorf("with one: %d %s", code, text)
	}
	other := newAPIDouble(t)
	other.apply(newIngress("dev", "elsewhere", className("hks"), path("elsewhere.localhost", "/", "x", 80)))
	other.kubeconfig(r.cfg.Kubeconfig)
	r.routed("elsewhere.localhost")
}

func TestForbiddenSecretsAndClassesAreDoneWithout(t *testing.T) {
	r := newRig(t)
	r.api.forbid("secrets")
	r.api.forbid("ingressclasses")
	r.app("web", backend(t, "web"))
	r.start()
	r.endpoints("web", 1)
	if state := r.g.api.status(); state.State != apiConnected {
		t.Errorf("API state %+v", state)
	}
}

// TestA96RightsThatAreNotReadYet: an API server that has just started refuses
// what it will allow in a moment.
func TestA96RightsThatAreNotReadYet(t *testing.T) {
	r := newRig(t)
	r.api.forbid("endpointslices")
	r.app("web", backend(t, "web"))
	r.start()
	eventually(t, "the refusal", func() bool { return r.g.api.status().State == apiConnected })
	r.api.allow("endpointslices")
	r.endpoints("web", 1)
}

func TestMetricsKeepToKnownRoutes(t *testing.T) {
	r := newRig(t)
	r.app("web", backend(t, "web"))
	r.start()
	r.endpoints("web", 1)
	r.get("web.localhost", "/")
	for i := range 20 {
		r.get(fmt.Sprintf("made-up-%d.test", i), "/")
	}
	_, text := r.admin("/metrics")
	for _, want := range []string{
		`hks_gateway_requests_total{code="2xx",host="web.localhost",path="/",service="dev/web:80"} 1`,
		`hks_gateway_requests_total{code="4xx",host="unknown",path="unknown",service="unknown"} 20`,
		`hks_gateway_request_duration_seconds_count{host="web.localhost",path="/",service="dev/web:80"} 1`,
		`hks_gateway_api_connected 1`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, "made-up") {
		t.Error("a host that a client made up became a label")
	}
	r.api.delete(newIngress("dev", "web", nil))
	eventually(t, "the metrics of a route that is gone", func() bool {
		_, text := r.admin("/metrics")
		return !strings.Contains(text, "web.localhost")
	})
	if code, text := r.admin("/routes"); code != 200 || !strings.Contains(text, `"routes":[]`) {
		t.Errorf("/routes: %d %s", code, text)
	}
	var log []byte
	eventually(t, "the requests are logged", func() bool {
		var err error
		log, err = os.ReadFile(r.cfg.AccessLog)
		return err == nil && bytes.Count(log, []byte("\n")) == 21
	})
	line, _, _ := strings.Cut(string(log), "\n")
	var entry map[string]any
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["host"] != "web.localhost" || entry["status"] != 200.0 || entry["service"] != "dev/web:80" {
		t.Errorf("access log: %v %s", err, line)
	}
}

func TestStopLetsRequestsEnd(t *testing.T) {
	r := newRig(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(slow.Close)
	r.app("web", slow)
	r.start()
	r.endpoints("web", 1)
	got := make(chan string, 1)
	go func() {
		_, body := r.get("web.localhost", "/")
		got <- body
	}()
	<-arrived
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	eventually(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", r.cfg.HTTP)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(answer)
	if body := <-got; body != "done" {
		t.Errorf("a request under way got %q", body)
	}
	<-stopped
	r.stop() // twice is fine
	if _, err := os.Stat(r.cfg.Socket); err == nil {
		t.Error("the socket is left behind")
	}
}

func TestPortInUseIsSaidPlainly(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testConfig(t)
	cfg.HTTPS = taken.Addr().String()
	cfg.Settings = "/etc/hks/config.yaml"
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = g.Start(t.Context())
	known, ok := errors.AsType[*agent.Error](err)
	_, number, _ := net.SplitHostPort(cfg.HTTPS)
	if !ok || known.Code != agent.CodeConflict || !strings.Contains(known.Message, "port "+number) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"gateway.https", "/etc/hks/config.yaml", "ss -ltnp 'sport = :" + number + "'"} {
		if !strings.Contains(known.Fix, want) {
			t.Errorf("the fix %q does not say %q", known.Fix, want)
		}
	}
	if ExitCode(err) != 3 {
		t.Errorf("exit code %d, want 3", ExitCode(err))
	}
	if conn, err := net.Dial("tcp", cfg.HTTP); err == nil {
		_ = conn.Close()
		t.Error("the other port was opened")
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSecondGatewayIsRefused(t *testing.T) {
	r := newRig(t)
	r.start()
	other, err := New(testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); err == nil {
		t.Error("two gateways run in one process")
	}
	cfg := testConfig(t)
	cfg.Socket = r.cfg.Socket
	if other, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); !errors.Is(err, ErrPreflight) {
		t.Errorf("a socket that answers: %v", err)
	}
	if code, _ := r.admin("/healthz"); code == 0 {
		t.Error("the first one lost its socket")
	}
}
