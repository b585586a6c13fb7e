package api

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A connection that was let in right before a stop is answered.
func TestStopWaitsForThoseWhoJustConnected(t *testing.T) {
	n := newNewcomers()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }), ReadHeaderTimeout: time.Minute}
	n.watch(server)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(countingListener{listener, n}) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for known := false; !known; { // it was let in
		n.mu.Lock()
		known = len(n.conns) == 1
		n.mu.Unlock()
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	waited := make(chan struct{})
	go func() { defer close(waited); n.wait(t.Context()) }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-waited
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) < 4 || string(answer[len(answer)-4:]) != "here" {
		t.Errorf("answer %q, %v", answer, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.conns) != 0 {
		t.Errorf("%d connections are still waited for", len(n.conns))
	}
}
