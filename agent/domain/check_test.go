package domain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

// zone is a resolver with these addresses.
type zone map[string][]string

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, ok := z[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addresses []netip.Addr
	for _, text := range list {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses, nil
}

func (z zone) LookupCNAME(_ context.Context, host string) (string, error) {
	if strings.HasPrefix(host, "alias.") {
		return "lb.example.net.", nil
	}
	return host, nil
}

func TestA22ChecksDNSAndPorts(t *testing.T) {
	answer := func(id string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == agent.GatewayProbe {
				fmt.Fprint(w, id)
			}
		}
	}
	plain, secure := httptest.NewServer(answer("gw")), httptest.NewTLSServer(answer("gw"))
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	port := func(s *httptest.Server) int { return s.Listener.Addr().(*net.TCPAddr).Port }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut := closed.Addr().(*net.TCPAddr).Port
	_ = closed.Close()
	names := zone{"www.example.com": {"127.0.0.1"}, "alias.example.com": {"127.0.0.1"}, "astray.example.com": {"127.0.0.77"}, "half.example.com": {"127.0.0.1", "127.0.0.77"}, "hks-check.example.org": {"127.0.0.1"}}
	ours := []netip.Addr{netip.MustParseAddr("192.0.2.2")}
	for name, tt := range map[string]struct {
		host        string
		http, https int
		id          string
		wants       [3]bool // DNS, HTTP, HTTPS
		words       string  // somewhere in the messages
	}{
		"right, though the address is not ours": {"www.example.com", port(plain), port(secure), "gw", [3]bool{true, true, true}, "points to 127.0.0.1"},
		"an alias":                              {"alias.example.com", port(plain), port(secure), "gw", [3]bool{true, true, true}, "points to lb.example.net (127.0.0.1)"},
		"a wildcard":                            {"*.example.org", port(plain), port(secure), "gw", [3]bool{true, true, true}, ""},
		"no record":                             {"none.example.com", port(plain), port(secure), "gw", [3]bool{}, "none.example.com has no A or AAAA record"},
		"elsewhere":                             {"astray.example.com", port(plain), port(secure), "gw", [3]bool{}, "points to 127.0.0.77; it should point to 192.0.2.2"},
		"one of two elsewhere":                  {"half.example.com", port(plain), port(secure), "gw", [3]bool{}, "of which 127.0.0.77 is not this appliance"},
		"another server":                        {"www.example.com", port(plain), port(secure), "another", [3]bool{}, "another server answers there"},
		"port 80 shut":                          {"www.example.com", shut, port(secure), "gw", [3]bool{true, false, true}, "connection refused"},
		"port 443 without TLS":                  {"www.example.com", port(plain), port(plain), "gw", [3]bool{true, true, false}, "does not lead to this appliance"},
	} {
		t.Run(name, func(t *testing.T) {
			check := Network{Resolver: names, Addresses: ours, HTTPPort: tt.http, HTTPSPort: tt.https}.Check(t.Context(), tt.host, tt.id)
			if got := [3]bool{check.DNS.OK, check.HTTP.OK, check.HTTPS.OK}; got != tt.wants {
				t.Errorf("%v, want %v: %+v", got, tt.wants, check)
			}
			if all := check.DNS.Message + check.HTTP.Message + check.HTTPS.Message; !strings.Contains(all, tt.words) {
				t.Errorf("says %q, want %q", all, tt.words)
			}
		})
	}
}
