package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/test/pebble"
)

// selfMade is a certificate for these names.
func selfMade(t *testing.T, from, until time.Time, names ...string) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "own"}, DNSNames: names, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// tell puts the list of domains through the gateway's socket.
func (r *rig) tell(domains ...agent.GatewayDomain) []agent.GatewayCertificate {
	r.t.Helper()
	body, err := json.Marshal(domains)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.domains(http.MethodPut, body)
}

func (r *rig) domains(method string, body []byte) []agent.GatewayCertificate {
	r.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.cfg.Socket)
	}}}
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://gateway/domains", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		r.t.Fatalf("%s /domains: %s %s %v", method, response.Status, text, err)
	}
	var states []agent.GatewayCertificate
	if err := json.Unmarshal(text, &states); err != nil {
		r.t.Fatal(err)
	}
	return states
}

// until waits for a state of a domain's certificate.
func (r *rig) until(host string, what string, ok func(agent.GatewayCertificate) bool) agent.GatewayCertificate {
	r.t.Helper()
	var last agent.GatewayCertificate
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, state := range r.domains(http.MethodGet, nil) {
			if state.Host == host {
				last = state
			}
		}
		if ok(last) {
			return last
		}
	}
	r.t.Fatalf("%s never came to be %s: %+v", host, what, last)
	return last
}

// plain asks by plain HTTP and follows no redirect.
func (r *rig) plain(host, path string) *http.Response {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.cfg.HTTP+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

// served is the certificate that the gateway shows for a name.
func (r *rig) served(host string) *x509.Certificate {
	r.t.Helper()
	conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true}}).DialContext(r.t.Context(), "tcp", r.cfg.HTTPS)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

func TestA22OwnCertificatesAndWildcards(t *testing.T) {
	r := newRig(t)
	r.api.apply(newIngress("dev", "web", className("hks"), path("www.example.com", "/", "web", 80), path("*.example.org", "/", "web", 80)))
	r.start()
	r.synced()
	now := time.Now()
	chain, key := selfMade(t, now.Add(-time.Hour), now.Add(time.Hour), "www.example.com")
	wildChain, wildKey := selfMade(t, now.Add(-time.Hour), now.Add(time.Hour), "*.example.org")
	r.tell(agent.GatewayDomain{Host: "www.example.com", Chain: chain, Key: key}, agent.GatewayDomain{Host: "*.example.org", Chain: wildChain, Key: wildKey})
	for host, want := range map[string]string{"www.example.com": "www.example.com", "a.example.org": "*.example.org"} {
		if got := r.served(host); got.DNSNames[0] != want || got.Subject.CommonName != "own" {
			t.Errorf("%s: certificate for %v by %s", host, got.DNSNames, got.Issuer)
		}
	}
	state := r.domains(http.MethodGet, nil)
	if len(state) != 2 || state[1].Certificate.Source != agent.CertificateOwn || state[1].Certificate.ValidUntil.IsZero() || !state[1].NextTry.IsZero() {
		t.Errorf("states %+v", state)
	}
	if data, err := json.Marshal(state); err != nil || strings.Contains(string(data), "PRIVATE") {
		t.Errorf("a key is told: %s %v", data, err)
	}

	t.Run("plain HTTP is sent to HTTPS", func(t *testing.T) {
		response := r.plain("www.example.com", "/a?b=c")
		_, port, _ := net.SplitHostPort(r.cfg.HTTPS)
		if want := "https://www.example.com:" + port + "/a?b=c"; response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != want {
			t.Errorf("%d to %q, want %q", response.StatusCode, response.Header.Get("Location"), want)
		}
		if response, _ := r.get("b.c.example.org", "/"); response.StatusCode != http.StatusNotFound {
			t.Errorf("a name two labels below a wildcard: %d", response.StatusCode)
		}
	})
	t.Run("a probe is answered with the gateway's id", func(t *testing.T) {
		if response, body := r.get("whatever.example", agent.GatewayProbe); response.StatusCode != http.StatusOK || body != r.g.id {
			t.Errorf("%d %q, want %q", response.StatusCode, body, r.g.id)
		}
	})
	t.Run("they outlive the process and are the owner's to read alone", func(t *testing.T) {
		r.stop()
		info, err := os.Stat(r.cfg.State + "/" + domainsFile)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		r.api.down()
		r.start()
		if got := r.served("www.example.com"); got.Subject.CommonName != "own" {
			t.Errorf("after a restart: by %s", got.Issuer)
		}
	})
	t.Run("taken away, the gateway's own serves", func(t *testing.T) {
		r.tell()
		if got := r.served("www.example.com"); got.Subject.CommonName == "own" {
			t.Error("the certificate stays")
		}
	})
	t.Run("a key that does not fit is refused", func(t *testing.T) {
		if err := r.g.domains.put([]agent.GatewayDomain{{Host: "www.example.com", Chain: chain, Key: wildKey}}); agent.CodeOf(err) != agent.CodeInvalid {
			t.Errorf("%v", err)
		}
	})
}

// scripted is an authority that answers as told.
type scripted struct {
	t       *testing.T
	lasts   time.Duration
	failing error
	asked   []time.Time
}

func (s *scripted) issue(_ context.Context, host string) (chain, key []byte, err error) {
	s.asked = append(s.asked, time.Now())
	if s.failing != nil {
		return nil, nil, s.failing
	}
	c, k := selfMade(s.t, time.Now(), time.Now().Add(s.lasts), host)
	return []byte(c), []byte(k), nil
}

func (s *scripted) answers(http.ResponseWriter, *http.Request) bool { return false }
func (s *scripted) challenge(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("no challenge")
}

func TestA22TriesRenewalAndRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := &scripted{t: t, lasts: 90 * 24 * time.Hour, failing: errors.New("no")}
		c := newCertifier(t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil)))
		c.issuer = authority
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.run(ctx) }()
		defer func() { cancel(); <-ended }()
		domain := agent.GatewayDomain{Host: "www.example.com"}
		put := func() {
			t.Helper()
			if err := c.put([]agent.GatewayDomain{domain}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		put()
		time.Sleep(time.Hour)
		if len(authority.asked) != 0 {
			t.Fatal("the authority was asked before DNS was seen to be right")
		}
		domain.Ask = true
		put()
		began := time.Now()
		time.Sleep(22 * time.Minute)
		var at []time.Duration
		for _, when := range authority.asked {
			at = append(at, when.Sub(began).Round(time.Second))
		}
		if want := []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute}; fmt.Sprint(at) != fmt.Sprint(want) {
			t.Errorf("asked at %v, want %v", at, want)
		}
		state := c.states()[0]
		if state.Error != "no" || state.Tries != 4 || time.Until(state.NextTry).Round(time.Minute) != 59*time.Minute {
			t.Errorf("after failures: %+v", state)
		}
		authority.failing = nil
		domain.Retry = time.Now()
		put()
		state = c.states()[0]
		if state.Error != "" || state.Certificate.Source != agent.CertificateACME || !c.secure("www.example.com") {
			t.Fatalf("after a retry: %+v", state)
		}
		first := state.Certificate.Serial
		authority.asked = nil
		domain.Ask = false // DNS is wrong now; the authority decides
		put()
		time.Sleep(59 * 24 * time.Hour)
		if len(authority.asked) != 0 {
			t.Error("renewed too early")
		}
		authority.failing = errors.New("down")
		time.Sleep(2 * 24 * time.Hour)
		if state = c.states()[0]; state.Certificate.Serial != first || state.Error != "down" || !c.secure("www.example.com") {
			t.Errorf("while the renewal fails: %+v", state)
		}
		authority.failing = nil
		time.Sleep(7 * time.Hour)
		if state = c.states()[0]; state.Certificate.Serial == first || state.Error != "" {
			t.Errorf("after the renewal: %+v", state)
		}
		// A restart takes up what is there.
		again := newCertifier(c.files.dir, c.log)
		if err := again.load(); err != nil || again.certificate("www.example.com") == nil {
			t.Errorf("after a restart: %v %v", again.certificate("www.example.com"), err)
		}
	})
}

// TestA22RealAuthority has certificates issued by Pebble: make acme builds it.
func TestA22RealAuthority(t *testing.T) {
	bin := os.Getenv("HKS_TEST_PEBBLE")
	if bin == "" {
		t.Skip("the authority is built by: make acme")
	}
	r := newRig(t)
	authority, err := pebble.Start(t.Context(), pebble.Config{
		Bin: bin, Dir: t.TempDir(), HTTPPort: portOfAddress(t, r.cfg.HTTP), TLSPort: portOfAddress(t, r.cfg.HTTPS),
		Validity: 24 * time.Second, Blocked: []string{"refused.example"}, Output: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := authority.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.cfg.ACME = ACME{Directory: authority.Directory, CA: authority.CA, Email: "owner@example.com", Retries: []time.Duration{2 * time.Second}}
	r.api.apply(newIngress("dev", "web", className("hks"), path("www.example.com", "/", "web", 80)))
	r.start()
	r.synced()

	r.tell(agent.GatewayDomain{Host: "www.example.com", Ask: true})
	valid := r.until("www.example.com", "valid", func(c agent.GatewayCertificate) bool { return c.Certificate.Source == agent.CertificateACME })
	leaf := r.served("www.example.com")
	root, err := authority.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(leaf.Issuer.CommonName, "Pebble") || fmt.Sprintf("%x", leaf.SerialNumber) != valid.Certificate.Serial || len(root) == 0 {
		t.Errorf("served by %s, serial %x, told %+v", leaf.Issuer, leaf.SerialNumber, valid.Certificate)
	}

	t.Run("it is renewed before it ends", func(t *testing.T) {
		again := r.until("www.example.com", "renewed", func(c agent.GatewayCertificate) bool {
			return c.Certificate.Source == agent.CertificateACME && c.Certificate.Serial != valid.Certificate.Serial
		})
		if !again.Certificate.ValidFrom.Before(valid.Certificate.ValidUntil) {
			t.Errorf("there was a gap: %s ended at %s", again.Certificate.ValidFrom, valid.Certificate.ValidUntil)
		}
		if got := fmt.Sprintf("%x", r.served("www.example.com").SerialNumber); got == valid.Certificate.Serial {
			t.Error("the old one is served")
		}
	})
	t.Run("the authority's refusal is told in its words", func(t *testing.T) {
		r.tell(agent.GatewayDomain{Host: "refused.example", Ask: true})
		state := r.until("refused.example", "refused", func(c agent.GatewayCertificate) bool { return c.Error != "" })
		if !strings.Contains(state.Error, "urn:ietf:params:acme:error:rejectedIdentifier") || state.NextTry.IsZero() {
			t.Errorf("%+v", state)
		}
	})
	t.Run("DNS that leads elsewhere", func(t *testing.T) {
		if err := authority.Point(t.Context(), "astray.example", "127.0.0.77"); err != nil {
			t.Fatal(err)
		}
		r.tell(agent.GatewayDomain{Host: "astray.example", Ask: true})
		state := r.until("astray.example", "refused", func(c agent.GatewayCertificate) bool { return c.Error != "" })
		if !strings.Contains(state.Error, "urn:ietf:params:acme:error:") {
			t.Errorf("%+v", state)
		}
		if err := authority.Point(t.Context(), "astray.example", "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		r.until("astray.example", "valid", func(c agent.GatewayCertificate) bool { return c.Certificate.Source != "" && c.Error == "" })
	})
	t.Run("an authority that is down, then back", func(t *testing.T) {
		if err := authority.Down(); err != nil {
			t.Fatal(err)
		}
		r.tell(agent.GatewayDomain{Host: "late.example", Ask: true})
		state := r.until("late.example", "failed", func(c agent.GatewayCertificate) bool { return c.Error != "" })
		if !strings.Contains(state.Error, "can't be reached") {
			t.Errorf("%+v", state)
		}
		if err := authority.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The authority has forgotten the account: another is made.
		r.until("late.example", "valid", func(c agent.GatewayCertificate) bool { return c.Certificate.Source != "" && c.Error == "" })
	})
}

func portOfAddress(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}
