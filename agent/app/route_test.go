package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestA10RouteIsAskedThroughTheGateway(t *testing.T) {
	var asked atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "web-staging.localhost" {
			t.Errorf("host %q", r.Host)
		}
		if asked.Add(1) < 3 {
			w.Header().Set(headerGatewayError, "NO_READY_INSTANCE")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "https://elsewhere.invalid/", http.StatusFound)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	r, err := NewRoute(RouteConfig{HTTP: plain.Listener.Addr().String(), HTTPS: secure.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://web-staging.localhost", "https://web-staging.localhost"} {
		asked.Store(0)
		if err := r.Check(t.Context(), url); err != nil || asked.Load() != 3 {
			t.Errorf("%s: %v after %d attempts", url, err, asked.Load())
		}
	}
}

func TestRouteThatNeverAnswers(t *testing.T) {
	none := httptest.NewServer(http.NotFoundHandler())
	none.Close()
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(headerGatewayError, "NO_ROUTE")
		w.WriteHeader(http.StatusNotFound)
	}))
	defer lost.Close()
	r, err := NewRoute(RouteConfig{HTTP: lost.Listener.Addr().String(), HTTPS: none.Listener.Addr().String(), Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for url, words := range map[string]string{"http://web.localhost": "does not know the route", "https://web.localhost": "connection refused"} {
		err := r.Check(t.Context(), url)
		if agent.CodeOf(err) != agent.CodeRollout || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestRouteAppErrorsAreAnswers(t *testing.T) {
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer sick.Close()
	address := sick.Listener.Addr().String()
	r, err := NewRoute(RouteConfig{HTTP: address, HTTPS: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(t.Context(), "http://web.localhost/deep/path"); err != nil {
		t.Error(err)
	}
	if _, err := NewRoute(RouteConfig{HTTP: "nowhere", HTTPS: address}); err == nil {
		t.Error("an address without a port is taken")
	}
}
