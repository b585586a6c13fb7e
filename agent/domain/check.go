package domain

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Resolver answers questions about names; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// Network looks where names lead to, from this machine.
type Network struct {
	Resolver  Resolver
	Addresses []netip.Addr // where names are to point to; none: those by which this machine reaches others
	HTTPPort  int          // by which the gateway is reached from outside
	HTTPSPort int
}

// NewResolver asks the name server at address:port, or the machine's own for
// an empty address.
func NewResolver(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}}
}

const (
	dialTimeout  = 4 * time.Second
	probeTimeout = 6 * time.Second
	mostProbed   = 8 // addresses of a name
)

// Check looks up a name and asks every address of it, on both ports, which
// gateway is there. What counts is the answer: an address that is not this
// machine's may be forwarded here, and one that is may be shielded.
func (n Network) Check(ctx context.Context, host, gatewayID string) agent.DomainCheck {
	name := strings.Replace(host, "*.", "hks-check.", 1)
	check := agent.DomainCheck{Expected: texts(n.expected(ctx))}
	addresses, err := n.Resolver.LookupNetIP(ctx, "ip", name+".")
	if err != nil || len(addresses) == 0 {
		check.DNS.Message = dnsWords(name, err)
		return check
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	addresses = addresses[:min(len(addresses), mostProbed)]
	check.Addresses = texts(addresses)
	if cname, err := n.Resolver.LookupCNAME(ctx, name+"."); err == nil && !strings.EqualFold(strings.TrimSuffix(cname, "."), name) {
		check.CNAME = strings.TrimSuffix(cname, ".")
	}
	plain := make([]error, len(addresses))
	secure := make([]error, len(addresses))
	var work sync.WaitGroup
	for i, address := range addresses {
		work.Go(func() { plain[i] = n.probe(ctx, "http", name, address, n.HTTPPort, gatewayID) })
		work.Go(func() { secure[i] = n.probe(ctx, "https", name, address, n.HTTPSPort, gatewayID) })
	}
	work.Wait()
	check.HTTP, check.HTTPS = n.reached(addresses, plain, n.HTTPPort), n.reached(addresses, secure, n.HTTPSPort)
	check.DNS = dnsLook(name, check, addresses, plain, secure)
	return check
}

// dnsLook judges the records: each address is one of this machine's, or leads
// to its gateway.
func dnsLook(name string, check agent.DomainCheck, addresses []netip.Addr, plain, secure []error) agent.Look {
	var astray []string
	for i, address := range addresses {
		if plain[i] != nil && secure[i] != nil && !slices.Contains(check.Expected, address.String()) {
			astray = append(astray, address.String())
		}
	}
	to := strings.Join(check.Addresses, ", ")
	if check.CNAME != "" {
		to = check.CNAME + " (" + to + ")"
	}
	if len(astray) == 0 {
		return agent.Look{OK: true, Message: "the name " + name + " points to " + to}
	}
	words := "the name " + name + " points to " + to
	if len(astray) < len(addresses) {
		words += ", of which " + strings.Join(astray, ", ") + " is not this appliance"
	}
	if len(check.Expected) > 0 {
		words += "; it should point to " + strings.Join(check.Expected, " or ")
	}
	return agent.Look{Message: words}
}

// reached judges the answers on one port.
func (n Network) reached(addresses []netip.Addr, errs []error, port int) agent.Look {
	for i, err := range errs {
		if err != nil {
			return agent.Look{Message: fmt.Sprintf("port %d of %s does not lead to this appliance: %v", port, addresses[i], err)}
		}
	}
	return agent.Look{OK: true, Message: fmt.Sprintf("port %d leads to this appliance", port)}
}

// probe asks an address which gateway it is.
func (n Network) probe(ctx context.Context, scheme, name string, address netip.Addr, port int, id string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+name+agent.GatewayProbe, nil)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		Proxy: nil, DisableKeepAlives: true, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: dialTimeout, MaxResponseHeaderBytes: 16 << 10,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, netip.AddrPortFrom(address, uint16(port)).String()) //nolint:gosec // a port
		},
		// Whose certificate is shown is no matter: the id tells who answers.
		TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // see above
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return probeWords(err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return probeWords(err)
	}
	if response.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != id {
		return errors.New("another server answers there")
	}
	return nil
}

func probeWords(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Timeout() {
			return errors.New("no answer in time")
		}
		return op.Err
	}
	return err
}

func dnsWords(name string, err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case e.IsNotFound:
			return "the name " + name + " has no A or AAAA record"
		case e.IsTimeout:
			return "the name server gave no answer about " + name + " in time"
		}
		return fmt.Sprintf("the name server can't tell about %s: %s", name, e.Err)
	}
	if err != nil {
		return fmt.Sprintf("the name server can't tell about %s: %v", name, err)
	}
	return "the name " + name + " has no A or AAAA record"
}

// expected are the addresses that names are to point to.
func (n Network) expected(ctx context.Context) []netip.Addr {
	if len(n.Addresses) > 0 {
		return n.Addresses
	}
	var found []netip.Addr
	// A UDP socket that is connected shows which address the machine would use;
	// nothing is sent (RFC 5737 and RFC 3849 addresses for documentation).
	for _, target := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "udp", target)
		if err != nil {
			continue // no way out by this protocol
		}
		if at, ok := conn.LocalAddr().(*net.UDPAddr); ok && at.AddrPort().IsValid() {
			found = append(found, at.AddrPort().Addr().Unmap().WithZone(""))
		}
		_ = conn.Close()
	}
	slices.SortFunc(found, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return found
}

func texts(addresses []netip.Addr) []string {
	list := make([]string, len(addresses))
	for i, address := range addresses {
		list[i] = address.String()
	}
	return list
}
