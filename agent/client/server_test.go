package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// serve starts a TLS server and a client that pins its certificate and tries
// broken streams again at once.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	c, err := New(Config{URL: server.URL, Fingerprint: FingerprintOf(server.Certificate()), Token: "hks_made-up"})
	if err != nil {
		t.Fatal(err)
	}
	c.retry = retry{first: time.Millisecond, longest: time.Millisecond, patience: 5 * time.Second, idle: 5 * time.Second}
	return c
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func stream(w http.ResponseWriter, frames ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, f := range frames {
		fmt.Fprint(w, f, "\n\n")
	}
	_ = http.NewResponseController(w).Flush() // the test sees what is missing
}
