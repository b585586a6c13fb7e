package agent

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"port", "route", "replicas", "resources", "release", "env"}
	tests := map[string]string{
		"prot": "port", "ports": "port", "Port": "port", "replica": "replicas", "resource": "resources", "evn": "env", "enviro": "env",
		"repl": "replicas", "re": "",
		"volumes": "", "": "", "x": "", strings.Repeat("port", 100): "",
	}
	for word, want := range tests {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"port", "prot", 1}, {"kitten", "sitting", 3}, {"same", "same", 0}, {"ca", "abc", 3}}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
