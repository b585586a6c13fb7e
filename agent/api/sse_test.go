package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
)

// event is one server-sent event as a browser sees it.
type event struct{ name, id, data string }

// nextEvent reads one event with data.
func nextEvent(t *testing.T, r *bufio.Reader) event {
	t.Helper()
	var e event
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.data != "" || e.id != "" {
				return e
			}
		}
	}
}

func TestEventsAreResumed(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	client := a.client()
	first := bufio.NewReader(a.get(client, "/api/events", cookie).Body)
	mark := nextEvent(t, first)
	if mark.id == "" || mark.data != "" {
		t.Fatalf("the first frame is %+v", mark)
	}
	a.cfg.Hub.Publish("app", "web/staging", someApp())
	seen := nextEvent(t, first)
	if seen.name != "app" || !strings.Contains(seen.data, `"subject":"web/staging"`) || !strings.Contains(seen.data, `"id":`+seen.id) {
		t.Errorf("the event is %+v", seen)
	}
	a.cfg.Hub.Publish("workspace", "dev", nil)
	a.cfg.Hub.Publish("system", "", agent.System{})
	again := bufio.NewReader(a.get(client, "/api/events", cookie, "Last-Event-ID", seen.id).Body)
	if one, two := nextEvent(t, again), nextEvent(t, again); one.name != "workspace" || two.name != "system" {
		t.Errorf("resumed with %+v and %+v", one, two)
	}
	lost := bufio.NewReader(a.get(client, "/api/events", cookie, "Last-Event-ID", "17").Body)
	if reset := nextEvent(t, lost); reset.name != "reset" || reset.id == "" {
		t.Errorf("after a gap: %+v", reset)
	}
	if resp := a.get(client, "/api/events", cookie, "Last-Event-ID", "x"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a malformed id: %s", resp.Status)
	}
	if resp := a.get(client, "/api/events", newSecret()); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged session: %s", resp.Status)
	}
}

// TestASilentStreamLives is about HTTP/2, where a write deadline that passes
// ends the stream although nothing is being written.
func TestASilentStreamLives(t *testing.T) {
	a := newAppliance(t)
	a.streamTimeout = 20 * time.Millisecond
	a.start()
	cookie := a.setUp()
	resp := a.get(a.client(), "/api/events", cookie)
	if resp.ProtoMajor != 2 {
		t.Fatalf("over %s", resp.Proto)
	}
	stream := bufio.NewReader(resp.Body)
	nextEvent(t, stream)
	for range 3 {
		<-time.After(3 * a.streamTimeout) // silence is what is tested
		a.cfg.Hub.Publish("app", "web/staging", nil)
		if got := nextEvent(t, stream); got.name != "app" {
			t.Errorf("after silence: %+v", got)
		}
	}
}

// TestAClientThatDoesNotReadIsDropped fills a real connection.
func TestAClientThatDoesNotReadIsDropped(t *testing.T) {
	a := newAppliance(t)
	a.streamTimeout = 50 * time.Millisecond
	a.start()
	a.get(a.client(), "/api/events", a.setUp())
	text := strings.Repeat("x", 100_000)
	for open := true; open; open = len(a.streams) > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the stream is open")
		case <-time.After(time.Millisecond):
			a.cfg.Hub.Publish("app", "web/staging", text)
		}
	}
}

func TestProgressAndLogsEnd(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	read := func(path string) string {
		t.Helper()
		body, err := io.ReadAll(a.get(a.client(), path, cookie).Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	progress := read("/api/apps/web/staging/releases/1/progress")
	if strings.Count(progress, "event: progress\n") != 2 || !strings.HasSuffix(progress, "event: end\ndata: {}\n\n") || strings.Contains(progress, canary) {
		t.Errorf("progress:\n%s", progress)
	}
	logs := read("/api/apps/web/staging/logs?follow&tail=5&since=10m&previous=false")
	if !strings.Contains(logs, "event: log\ndata: {") || !strings.HasSuffix(logs, "event: end\ndata: {}\n\n") {
		t.Errorf("logs:\n%s", logs)
	}
	if want := (agent.LogQuery{Follow: true, Tail: 5, Since: 10 * time.Minute}); a.apps.query != want {
		t.Errorf("the query was %+v", a.apps.query)
	}
}

func TestAStreamTellsItsFailure(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	a.apps.lines = func(yield func(agent.LogLine, error) bool) {
		_ = yield(agent.LogLine{Text: "a"}, nil) && yield(agent.LogLine{}, &agent.Error{Code: agent.CodeClusterAway, Message: "the cluster is away"})
	}
	body, err := io.ReadAll(a.get(a.client(), "/api/apps/web/staging/logs", cookie).Body)
	if err != nil || !strings.Contains(string(body), `event: failure`+"\n"+`data: {"error":{"code":"CLUSTER_UNAVAILABLE"`) || !strings.HasSuffix(string(body), "event: end\ndata: {}\n\n") {
		t.Errorf("logs:\n%s\n%v", body, err)
	}
	a.apps.mu.Lock()
	a.apps.err = &agent.Error{Code: agent.CodeNotFound, Message: "there is no app"}
	a.apps.mu.Unlock()
	if resp := a.get(a.client(), "/api/apps/web/staging/logs", cookie); resp.StatusCode != http.StatusNotFound {
		t.Errorf("before the stream begins: %s", resp.Status)
	}
}

func TestAListenerThatLeavesEndsTheWork(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	ended := make(chan struct{})
	a.apps.lines = func(yield func(agent.LogLine, error) bool) {
		defer close(ended)
		for yield(agent.LogLine{Text: "more"}, nil) {
			continue
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.Addr().String()+"/api/apps/web/staging/logs?follow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: sessionCookie, Value: cookie})
	resp, err := a.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	leave()
	<-ended
}

// patient is a client in a bubble of synctest: what is written to it waits
// there, or fails after stuck.
type patient struct {
	mu     sync.Mutex // guards what follows
	header http.Header
	body   bytes.Buffer
	stuck  bool
}

func (p *patient) Header() http.Header              { return p.header }
func (p *patient) WriteHeader(int)                  {}
func (p *patient) Flush()                           {}
func (p *patient) SetReadDeadline(time.Time) error  { return nil }
func (p *patient) SetWriteDeadline(time.Time) error { return nil }

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck {
		return 0, errors.New("i/o timeout")
	}
	return p.body.Write(b)
}

func (p *patient) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body.String()
}

func (p *patient) stick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = true
}

// follow opens the event stream in a bubble; the channel is closed at its end.
func (a *appliance) follow(cookie string) (*patient, <-chan struct{}) {
	p := &patient{header: http.Header{}}
	req := httptest.NewRequestWithContext(a.t.Context(), http.MethodGet, "/api/events", nil)
	req.Host = "localhost"
	req.AddCookie(&http.Cookie{Name: sessionCookie, Value: cookie})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.engine.ServeHTTP(p, req)
	}()
	return p, ended
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAStreamBeatsAndEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t)
		cookie := a.setUp()
		p, ended := a.follow(cookie)
		time.Sleep(3*heartbeat + time.Second)
		synctest.Wait()
		if beats := strings.Count(p.String(), ": beat\n\n"); beats != 3 || isClosed(ended) {
			t.Fatalf("%d beats:\n%s", beats, p)
		}
		a.want(http.StatusNoContent, request{method: "POST", path: "/api/logout", cookie: cookie})
		time.Sleep(heartbeat)
		synctest.Wait()
		if !isClosed(ended) {
			t.Error("the stream outlives its session")
		}
		if len(a.streams) != 0 || len(a.cfg.Hub.listeners) != 0 {
			t.Error("the stream was not given back")
		}
	})
}

func TestAStreamDoesNotKeepItsSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t)
		_, ended := a.follow(a.setUp())
		synctest.Wait()
		a.clock.forward(sessionIdle)
		time.Sleep(heartbeat)
		synctest.Wait()
		if !isClosed(ended) {
			t.Error("an idle session has a stream")
		}
	})
}

func TestAStuckClientIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t)
		p, ended := a.follow(a.setUp())
		synctest.Wait()
		p.stick()
		a.cfg.Hub.Publish("app", "web/staging", nil)
		synctest.Wait()
		if !isClosed(ended) {
			t.Error("a client that takes nothing is kept")
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	a := newAppliance(t)
	cookie := a.setUp()
	for range maxStreams {
		a.streams <- struct{}{}
	}
	a.refuse(http.StatusTooManyRequests, agent.CodeTooMany, request{path: "/api/events", cookie: cookie})
}
