package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// claimer is the agent's side of the socket.
func claimer(t *testing.T, claim func() agent.FunctionClaim) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /claim", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(claim()) })
	mux.HandleFunc("POST /broken", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewUnstartedServer(mux)
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return socket
}

func functionOf(t *testing.T, route agent.FunctionRoute, claim func() agent.FunctionClaim) *function {
	t.Helper()
	g, err := New(Config{HTTP: "a", HTTPS: "b", State: t.TempDir(), Socket: "c", Kubeconfig: "d", Claims: claimer(t, claim)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.work.Wait)
	route.Name, route.Host = "hello", "hello.fn.localhost"
	g.calls.set(agent.FunctionTable{Seq: 1, Functions: []agent.FunctionRoute{route}})
	return g.calls.find("hello.fn.localhost")
}

func TestA62BurstClaimsNoMoreThanItNeeds(t *testing.T) {
	var claims atomic.Int64
	release, arrived := make(chan struct{}), make(chan struct{}, 20)
	pod := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer pod.Close()
	_, port, _ := net.SplitHostPort(pod.Listener.Addr().String())
	f := functionOf(t, agent.FunctionRoute{Concurrency: 10, MaxInstances: 5, Timeout: 10}, func() agent.FunctionClaim {
		n := claims.Add(1)
		return agent.FunctionClaim{Seq: n + 1, Address: fmt.Sprintf("127.0.0.%d:%s", n, port)}
	})
	var calls sync.WaitGroup
	var failed atomic.Int64
	for range 10 {
		calls.Go(func() {
			w := httptest.NewRecorder()
			f.serve(newRecorder(w), httptest.NewRequest(http.MethodGet, "http://hello.fn.localhost/", nil), false)
			if w.Code != http.StatusOK {
				failed.Add(1)
			}
		})
	}
	for range 10 {
		<-arrived
	}
	close(release)
	calls.Wait()
	if claims.Load() != 1 || failed.Load() != 0 {
		t.Errorf("%d claims, %d calls failed", claims.Load(), failed.Load())
	}
}

func TestA57PastItsTimeoutACallIsStopped(t *testing.T) {
	pod := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer pod.Close()
	f := functionOf(t, agent.FunctionRoute{Concurrency: 1, MaxInstances: 1, Timeout: 1, Instances: []string{pod.Listener.Addr().String()}}, func() agent.FunctionClaim { return agent.FunctionClaim{} })
	w := httptest.NewRecorder()
	f.serve(newRecorder(w), httptest.NewRequest(http.MethodGet, "http://hello.fn.localhost/", nil), false)
	if w.Code != http.StatusGatewayTimeout || len(f.instances) != 0 {
		t.Errorf("answers %d with %d instances left", w.Code, len(f.instances))
	}
}

func TestA53RefusedClaimIsTheAnswer(t *testing.T) {
	f := functionOf(t, agent.FunctionRoute{Concurrency: 1, MaxInstances: 1, Timeout: 1}, func() agent.FunctionClaim {
		return agent.FunctionClaim{Status: http.StatusInternalServerError, Error: json.RawMessage(`{"code":"VARIABLE_MISSING","message":"it requires SMTP_URL"}`)}
	})
	w := httptest.NewRecorder()
	f.serve(newRecorder(w), httptest.NewRequest(http.MethodGet, "http://hello.fn.localhost/", nil), false)
	if w.Code != http.StatusInternalServerError || w.Header().Get(errorHeader) != "VARIABLE_MISSING" {
		t.Errorf("answers %d %s", w.Code, w.Body)
	}
}

func TestLateTableAndKeyAndRelease(t *testing.T) {
	f := functionOf(t, agent.FunctionRoute{Concurrency: 1, MaxInstances: 1, Timeout: 1, KeyHash: "00", Instances: []string{"127.0.0.1:1"}}, func() agent.FunctionClaim { return agent.FunctionClaim{} })
	w := httptest.NewRecorder()
	f.serve(newRecorder(w), httptest.NewRequest(http.MethodGet, "http://hello.fn.localhost/", nil), false)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a key it answers %d", w.Code)
	}
	if f.owner.set(agent.FunctionTable{Seq: 0}) {
		t.Error("a late table was taken")
	}
	if f.release("127.0.0.1:1", time.Hour) || !f.release("127.0.0.1:1", 0) {
		t.Error("an instance goes when it was idle for its window, and not before")
	}
}

func TestCallsPastTheQueueAreRefused(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	pod := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer pod.Close()
	f := functionOf(t, agent.FunctionRoute{Concurrency: 1, MaxInstances: 1, Timeout: 30, Instances: []string{pod.Listener.Addr().String()}}, func() agent.FunctionClaim { return agent.FunctionClaim{} })
	var calls sync.WaitGroup
	call := func() int {
		w := httptest.NewRecorder()
		f.serve(newRecorder(w), httptest.NewRequest(http.MethodGet, "http://hello.fn.localhost/", nil), false)
		return w.Code
	}
	calls.Go(func() { call() })
	<-arrived
	var refused atomic.Int64
	for range maxQueued {
		calls.Go(func() {
			if call() != http.StatusOK {
				refused.Add(1)
			}
		})
	}
	for {
		f.mu.Lock()
		queued := f.queued
		f.mu.Unlock()
		if queued == maxQueued {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if code := call(); code != http.StatusTooManyRequests {
		t.Errorf("one call more is answered with %d", code)
	}
	go func() {
		for range arrived { // the queue goes on
		}
	}()
	close(release)
	calls.Wait()
	close(arrived)
	if refused.Load() != 0 {
		t.Errorf("%d calls of the queue failed", refused.Load())
	}
}

func TestCallsOverTheirSizeAreRefused(t *testing.T) {
	pod := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer pod.Close()
	f := functionOf(t, agent.FunctionRoute{Concurrency: 10, MaxInstances: 1, Timeout: 30, Instances: []string{pod.Listener.Addr().String()}}, func() agent.FunctionClaim { return agent.FunctionClaim{} })
	for name, c := range map[string]struct {
		size   int
		tells  bool // its length beforehand
		status int
	}{
		"just right": {agent.MaxFunctionPayload, true, http.StatusOK}, "too large": {agent.MaxFunctionPayload + 1, true, http.StatusRequestEntityTooLarge},
		"too large, in pieces": {agent.MaxFunctionPayload + 1, false, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "http://hello.fn.localhost/", bytes.NewReader(make([]byte, c.size)))
			if !c.tells {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			f.serve(newRecorder(w), r, false)
			if w.Code != c.status {
				t.Errorf("answered with %d, want %d", w.Code, c.status)
			}
		})
	}
}
