package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
)

// names is under which names and addresses the API may be reached.
type names struct {
	allowed map[string]bool // in lower case
	domain  string
	hosts   []string
	file    string // the settings file, for the fix
	now     func() time.Time
}

func newNames(settings config.Config, now func() time.Time) *names {
	n := &names{
		allowed: map[string]bool{"localhost": true, settings.Domain: true},
		domain:  settings.Domain, hosts: settings.API.Hosts,
		file: settings.Paths().ConfigFile(), now: now,
	}
	if host, err := os.Hostname(); err == nil {
		n.allowed[strings.ToLower(host)] = true
		short, _, _ := strings.Cut(strings.ToLower(host), ".")
		n.allowed[short] = true
	}
	for _, host := range settings.API.Hosts {
		n.allowed[strings.ToLower(host)] = true
	}
	return n
}

// primary is the name to print in a link.
func (n *names) primary() string {
	if len(n.hosts) > 0 {
		return n.hosts[0]
	}
	return n.domain
}

// outward is an address under which other machines reach this one: the first
// that the settings name, else the one that its default route leaves by.
func (n *names) outward() string {
	if len(n.hosts) > 0 {
		return n.hosts[0]
	}
	conn, err := net.Dial("udp", "192.0.2.1:9") // nothing is sent; RFC 5737 keeps the address for documentation
	if err != nil {
		return n.primary()
	}
	defer func() { _ = conn.Close() }()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return n.primary()
	}
	return host
}

// certificate is the names and addresses that go into the API's certificate.
func (n *names) certificate() []string {
	list := []string{"localhost"}
	for name := range n.allowed {
		if name != "localhost" {
			list = append(list, name)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return append(list, "127.0.0.1", "::1") // the fingerprint is what counts
	}
	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok && !prefix.IP.IsLinkLocalUnicast() {
			list = append(list, prefix.IP.String())
		}
	}
	return list
}

// check refuses a request made under a name that is not ours: a page of a
// stranger whose DNS name was pointed at this machine (DNS rebinding). A
// literal address is always fine: it can't be rebound, and behind NAT the
// machine does not know its own.
func (n *names) check(r *http.Request) error {
	host := hostOf(r)
	if _, err := netip.ParseAddr(host); err == nil || n.allowed[host] {
		return nil
	}
	return &statusError{status: http.StatusMisdirectedRequest, shown: &agent.Error{
		Code:    agent.CodeForbidden,
		Message: fmt.Sprintf("this appliance does not answer under the name %q", host),
		Fix:     fmt.Sprintf("if the name is yours, add it to api.hosts in %s and restart hks-agent", n.file),
		Details: map[string]any{"setting": "api.hosts"},
	}}
}

// hostOf is the host a request was made to, in lower case and without port.
func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (s *Server) checkHost(c *gin.Context) error {
	if isLocal(c.Request) {
		return nil
	}
	return s.names.check(c.Request)
}
