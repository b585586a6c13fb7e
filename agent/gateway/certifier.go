package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hks.dev/hks/agent"
)

// issuer gets certificates from an authority.
type issuer interface {
	issue(ctx context.Context, host string) (chain, key []byte, err error)
	answers(w http.ResponseWriter, r *http.Request) bool
	challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
}

const (
	mostAsking = 4 // certificates that are asked for at a time

	// A certificate is renewed when a third of its life is left, as Let's
	// Encrypt advises.
	renewDivisor = 3

	domainsFile      = "domains.json"      // what the agent told
	domainsCertsFile = "domain-certs.json" // certificates of the authority, and how the tries went
)

// retryAfter are the waits after failed tries; the last stays. An authority
// allows few failures an hour (Let's Encrypt: five for a host).
var retryAfter = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}

// issued is a certificate of the authority with how the tries for it went.
type issued struct {
	Chain   string    `json:"chain,omitempty"`
	Key     string    `json:"key,omitempty"`
	Error   string    `json:"error,omitempty"`
	Tries   int       `json:"tries,omitempty"`
	LastTry time.Time `json:"lastTry,omitzero"`
	NextTry time.Time `json:"nextTry,omitzero"`
}

// certifier keeps the certificates of custom domains: those of the owner, which
// the agent hands over, and those that it asks an authority for, renews and
// keeps on disk, so that domains go on without the agent.
type certifier struct {
	log     *slog.Logger
	files   files
	issuer  issuer // nil: no authority is asked
	retries []time.Duration
	now     func() time.Time

	serving atomic.Pointer[map[string]*tls.Certificate] // by host, "*.x" too
	changed chan struct{}

	mu      sync.Mutex // guards the rest
	domains []agent.GatewayDomain
	issued  map[string]issued
	leaves  map[string]*x509.Certificate // of what is served
	asking  map[string]bool
}

func newCertifier(dir string, log *slog.Logger) *certifier {
	c := &certifier{
		log: log, files: files{dir: dir}, retries: retryAfter, now: time.Now, changed: make(chan struct{}, 1),
		issued: map[string]issued{}, asking: map[string]bool{},
	}
	c.serving.Store(&map[string]*tls.Certificate{})
	return c
}

// load takes up what is on disk.
func (c *certifier) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, into := range map[string]any{domainsFile: &c.domains, domainsCertsFile: &c.issued} {
		if err := c.files.read(name, into); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if c.issued == nil {
		c.issued = map[string]issued{}
	}
	c.serve()
	return nil
}

// put takes the agent's list in place of the one before, and returns when it
// is on disk.
func (c *certifier) put(domains []agent.GatewayDomain) error {
	domains = slices.Clone(domains)
	slices.SortFunc(domains, func(a, b agent.GatewayDomain) int { return cmp.Compare(a.Host, b.Host) })
	for _, d := range domains {
		if d.Chain == "" {
			continue
		}
		if _, err := tls.X509KeyPair([]byte(d.Chain), []byte(d.Key)); err != nil {
			return agent.Errorf(agent.CodeInvalid, "", "the certificate of %s: %w", d.Host, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if reflect.DeepEqual(c.domains, domains) {
		return nil
	}
	if err := c.files.write(domainsFile, domains); err != nil {
		return err
	}
	c.domains = domains
	c.serve()
	select {
	case c.changed <- struct{}{}:
	default: // it looks soon anyway
	}
	return nil
}

// serve puts the certificates that there are into use. The caller holds mu.
func (c *certifier) serve() {
	certs := map[string]*tls.Certificate{}
	c.leaves = map[string]*x509.Certificate{}
	for _, d := range c.domains {
		chain, key := d.Chain, d.Key
		if chain == "" {
			chain, key = c.issued[d.Host].Chain, c.issued[d.Host].Key
		}
		if chain == "" {
			continue
		}
		pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
		if err != nil {
			c.log.Warn("a domain's certificate is not usable", "host", d.Host, "error", err)
			continue
		}
		certs[d.Host], c.leaves[d.Host] = &pair, pair.Leaf
	}
	c.serving.Store(&certs)
}

// certificate is that of a domain, nil for a host that is none or has none.
func (c *certifier) certificate(host string) *tls.Certificate {
	certs := *c.serving.Load()
	if found := certs[host]; found != nil {
		return found
	}
	if _, suffix, ok := strings.Cut(host, "."); ok {
		return certs["*."+suffix]
	}
	return nil
}

// secure tells whether the host has a certificate that browsers may trust, so
// that plain HTTP can be sent to HTTPS.
func (c *certifier) secure(host string) bool {
	found := c.certificate(host)
	return found != nil && found.Leaf != nil && c.now().Before(found.Leaf.NotAfter)
}

// knows tells whether the host is a custom domain.
func (c *certifier) knows(host string) bool {
	_, suffix, _ := strings.Cut(host, ".")
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.domains, func(d agent.GatewayDomain) bool { return d.Host == host || d.Host == "*."+suffix })
}

// states is what is known of every domain's certificate, by host.
func (c *certifier) states() []agent.GatewayCertificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]agent.GatewayCertificate, 0, len(c.domains))
	for _, d := range c.domains {
		state := agent.GatewayCertificate{Host: d.Host, Asking: c.asking[d.Host]}
		if leaf := c.leaves[d.Host]; leaf != nil {
			state.Certificate = describe(leaf)
			state.Certificate.Source = agent.CertificateOwn
		}
		if d.Chain == "" {
			one := c.issued[d.Host]
			state.Error, state.Tries, state.LastTry = one.Error, one.Tries, one.LastTry
			if one.Error != "" && c.mayAsk(d) {
				state.NextTry = c.dueAt(d)
			}
			if state.Certificate.Source != "" {
				state.Certificate.Source, state.Certificate.RenewAt = agent.CertificateACME, renewAt(c.leaves[d.Host])
			}
		}
		states = append(states, state)
	}
	return states
}

func describe(leaf *x509.Certificate) agent.Certificate {
	return agent.Certificate{
		Issuer: cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String()), Names: leaf.DNSNames, Serial: fmt.Sprintf("%x", leaf.SerialNumber),
		ValidFrom: leaf.NotBefore.UTC(), ValidUntil: leaf.NotAfter.UTC(),
	}
}

func renewAt(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / renewDivisor).UTC()
}

// mayAsk tells whether the authority is asked about a domain at all. The caller
// holds mu.
func (c *certifier) mayAsk(d agent.GatewayDomain) bool {
	return c.issuer != nil && d.Chain == "" && !strings.HasPrefix(d.Host, "*.") && (d.Ask || c.leaves[d.Host] != nil)
}

// dueAt is when that is to be. The caller holds mu.
func (c *certifier) dueAt(d agent.GatewayDomain) time.Time {
	leaf, one := c.leaves[d.Host], c.issued[d.Host]
	switch {
	case one.Error != "" && !d.Retry.After(one.LastTry):
		return one.NextTry
	case one.Error != "", leaf == nil:
		return d.Retry // at once
	}
	return renewAt(leaf)
}

// run asks for what is due until ctx ends.
func (c *certifier) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		wait := c.begin(ctx, &work)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-c.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// begin asks for what is due now, and tells when to look again.
func (c *certifier) begin(ctx context.Context, work *sync.WaitGroup) time.Duration {
	const longest = time.Minute
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wait := c.now(), longest
	for _, d := range c.domains {
		if !c.mayAsk(d) || c.asking[d.Host] {
			continue
		}
		if left := c.dueAt(d).Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		if len(c.asking) >= mostAsking {
			continue // the end of another looks again
		}
		c.asking[d.Host] = true
		work.Go(func() { c.ask(ctx, d.Host) })
	}
	return wait
}

// ask tries once to get a certificate, and keeps what came of it.
func (c *certifier) ask(ctx context.Context, host string) {
	c.log.Info("asking for a certificate", "host", host)
	began := c.now()
	chain, key, err := c.issuer.issue(ctx, host)
	if err == nil {
		_, err = tls.X509KeyPair(chain, key)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, host)
	defer func() {
		select {
		case c.changed <- struct{}{}:
		default: // it looks soon anyway
		}
	}()
	if ctx.Err() != nil {
		return // stopped: asked again at the next start
	}
	one := c.issued[host]
	one.LastTry = began.UTC()
	if err != nil {
		pause := c.retries[min(one.Tries, len(c.retries)-1)]
		one.Tries++
		one.Error, one.NextTry = authorityWords(err), c.now().Add(pause).UTC()
		c.log.Warn("no certificate", "host", host, "tries", one.Tries, "again in", pause, "error", one.Error)
	} else {
		one = issued{Chain: string(chain), Key: string(key), LastTry: one.LastTry}
		c.log.Info("a certificate was issued", "host", host)
	}
	c.issued[host] = one
	maps.DeleteFunc(c.issued, func(host string, one issued) bool { return c.forgotten(host, one) })
	if err := c.files.write(domainsCertsFile, c.issued); err != nil {
		c.log.Error("a certificate could not be written; it would be asked for again after a restart", "host", host, "error", err)
	}
	c.serve()
}

// forgotten tells whether a certificate may go: its domain is no more, and it
// has ended. Until then a domain that is added again needs no new one. The
// caller holds mu.
func (c *certifier) forgotten(host string, one issued) bool {
	if slices.ContainsFunc(c.domains, func(d agent.GatewayDomain) bool { return d.Host == host }) {
		return false
	}
	pair, err := tls.X509KeyPair([]byte(one.Chain), []byte(one.Key))
	return err != nil || c.now().After(pair.Leaf.NotAfter)
}
