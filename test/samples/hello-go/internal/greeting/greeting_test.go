package greeting

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestFor(t *testing.T) {
	for name, want := range map[string]string{"": "Hello, world!", " Ada ": "Hello, Ada!"} {
		if got := For(name); got != want {
			t.Errorf("For(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestHandler(t *testing.T) {
	rec := httptest.NewRecorder()
	Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/?name=Ada", nil))
	if got, want := rec.Body.String(), `{"message":"Hello, Ada!"}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
