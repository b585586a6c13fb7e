package gateway

import (
	"crypto/rand"
	"net"
	"net/http"
	"strings"
)

// cleanHeaders removes what only a proxy may say from the client's request,
// so that no app believes it, and returns the request's id, which it sets.
// Caddy's reverse_proxy sets X-Forwarded-For, -Host and -Proto anew.
func cleanHeaders(r *http.Request) (id string) {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") {
			delete(r.Header, name)
		}
	}
	delete(r.Header, "Forwarded")
	r.Header["X-Real-Ip"] = []string{clientOf(r)}
	id = r.Header.Get("X-Request-Id")
	if !isRequestID(id) {
		id = strings.ToLower(rand.Text())
		r.Header["X-Request-Id"] = []string{id}
	}
	return id
}

// isRequestID tells whether a client's own request id is fit for headers and logs.
func isRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return strings.IndexFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.'
	}) < 0
}

func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
