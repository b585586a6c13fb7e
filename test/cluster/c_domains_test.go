package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/test/pebble"
)

// Where the tests' certificate authority and name server listen.
const (
	authorityAddress = "127.0.0.1:14000"
	resolverAddress  = "127.0.0.1:8053"
)

// startAuthority starts the authority that the appliance asks, and returns the
// settings that say so.
func startAuthority(ctx context.Context) (settings string, err error) {
	output, err := os.Create(filepath.Join(appliance.work, "pebble.log"))
	if err != nil {
		return "", err
	}
	appliance.authority, err = pebble.Start(ctx, pebble.Config{
		Bin: appliance.bin, Dir: appliance.work, HTTPPort: 80, TLSPort: 443, Listen: authorityAddress, Resolver: resolverAddress, Output: output,
	})
	if err != nil {
		return "", fmt.Errorf("starting the certificate authority (make bin/pebble builds it): %w", err)
	}
	return fmt.Sprintf("gateway:\n  acme:\n    directory: %s\n    ca: %s\n    email: owner@example.com\n    resolver: %s\n",
		appliance.authority.Directory, appliance.authority.CA, appliance.authority.Resolver), nil
}

// visitor trusts these roots and finds every name on this machine. It follows
// no redirect.
func visitor(t *testing.T, roots []byte) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// domainIs waits for a status of a domain.
func domainIs(t *testing.T, host string, status agent.DomainStatus) agent.Domain {
	t.Helper()
	var d agent.Domain
	eventually(t, 90*time.Second, func() string {
		if d = ask[agent.Domain](t, "domains", "show", host); d.Status != status {
			return fmt.Sprintf("%s is %s: %s", host, d.Status, d.Reason)
		}
		return ""
	})
	return d
}

func TestA22CustomDomains(t *testing.T) {
	authority := appliance.authority
	root, err := authority.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := visitor(t, root)
	deploy(t, "site", "page:1")
	remove(t, "site")

	t.Run("wrong DNS is said before a certificate is asked for", func(t *testing.T) {
		if err := authority.Point(t.Context(), "www.site.example", "192.0.2.77"); err != nil {
			t.Fatal(err)
		}
		out := hks(t, "domains", "add", "site", "www.site.example")
		if !strings.Contains(out, "points to 192.0.2.77") || !strings.Contains(out, "waiting") {
			t.Errorf("hks domains add prints\n%s", out)
		}
		if r := try(t, "domains", "retry", "www.site.example"); r.exit != 1 || !strings.Contains(r.stderr, "--anyway") {
			t.Errorf("a retry: exit %d %s", r.exit, r.stderr)
		}
	})
	t.Run("right DNS brings the certificate by itself", func(t *testing.T) {
		if err := authority.Point(t.Context(), "www.site.example", "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		if out := hks(t, "domains", "check", "www.site.example"); !strings.Contains(out, "port 443 leads to this appliance") {
			t.Errorf("hks domains check prints\n%s", out)
		}
		d := domainIs(t, "www.site.example", agent.DomainValid)
		if d.Certificate.Source != agent.CertificateACME || !strings.HasPrefix(d.Certificate.Issuer, "Pebble") || d.Certificate.RenewAt.IsZero() {
			t.Errorf("certificate %+v", d.Certificate)
		}
		if body, response := get(t, client, "https://www.site.example/"); !strings.Contains(body, "version 1") {
			t.Errorf("%s: %s", response.Status, body)
		}
		if _, response := get(t, client, "http://www.site.example/a?b=c"); response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != "https://www.site.example/a?b=c" {
			t.Errorf("plain HTTP: %s to %q", response.Status, response.Header.Get("Location"))
		}
	})
	t.Run("it outlives releases and a rollback", func(t *testing.T) {
		deploy(t, "site", "page:2")
		hks(t, "rollback", "site")
		if body, _ := get(t, client, "https://www.site.example/"); !strings.Contains(body, "version 1") {
			t.Errorf("after a rollback: %s", body)
		}
	})
	t.Run("a domain of another app is refused", func(t *testing.T) {
		deploy(t, "site", "page:1", "--environment", "production")
		remove(t, "site/production")
		if r := try(t, "domains", "add", "site/production", "www.site.example"); r.exit != 1 || !strings.Contains(r.stderr, "already leads to site/staging") {
			t.Errorf("exit %d %s", r.exit, r.stderr)
		}
		if r := try(t, "domains", "add", "site/production", "site-staging.localhost"); r.exit != 1 {
			t.Errorf("the default host of another app: exit %d %s", r.exit, r.stderr)
		}
	})
	t.Run("the authority's refusal comes in its words", func(t *testing.T) {
		r := try(t, "domains", "add", "site", "blocked.example")
		if r.exit != 1 || !strings.Contains(r.stderr, "rejectedIdentifier") || !strings.Contains(r.stdout, "Next try") {
			t.Errorf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		if out := hks(t, "activity"); !strings.Contains(out, "no certificate for blocked.example") {
			t.Errorf("hks activity:\n%s", out)
		}
	})
	t.Run("an authority that is down, then back", func(t *testing.T) {
		if err := authority.Down(); err != nil {
			t.Fatal(err)
		}
		r := try(t, "domains", "add", "site", "late.example")
		if err := authority.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.exit != 1 || !strings.Contains(r.stderr, "can't be reached") {
			t.Errorf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		if out := hks(t, "domains", "retry", "late.example"); !strings.Contains(out, "valid") {
			t.Errorf("hks domains retry prints\n%s", out)
		}
	})
	t.Run("a certificate of one's own for a wildcard", func(t *testing.T) {
		cert, key := ownCertificate(t, "*.own.example")
		if out := hks(t, "domains", "add", "site", "*.own.example"); !strings.Contains(out, "hks domains cert") {
			t.Errorf("without it:\n%s", out)
		}
		hks(t, "domains", "cert", "*.own.example", "--cert", cert, "--key", key)
		domainIs(t, "*.own.example", agent.DomainValid)
		own, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		if body, response := get(t, visitor(t, own), "https://any.own.example/"); !strings.Contains(body, "version 1") {
			t.Errorf("%s: %s", response.Status, body)
		}
		if r := try(t, "domains", "cert", "www.site.example", "--cert", cert, "--key", key); r.exit != 1 || !strings.Contains(r.stderr, "is not for www.site.example") {
			t.Errorf("for another name: exit %d %s", r.exit, r.stderr)
		}
		keyText, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		middle := strings.Split(string(keyText), "\n")[1]
		for _, file := range []string{"/var/log/hks/agent.log", "/var/log/hks/gateway.log", "/var/log/hks/access.log", "/var/lib/hks/hks.db", "/var/lib/hks/hks.db-wal"} {
			if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), middle) {
				t.Errorf("%s holds the key", file)
			}
		}
	})
	t.Run("the gateway's death loses none", func(t *testing.T) {
		before := ask[agent.Domain](t, "domains", "show", "www.site.example").Certificate.Serial
		pid := pidOf(t, "gateway")
		kill(t, "gateway")
		eventually(t, 30*time.Second, func() string {
			if pidOf(t, "gateway") == pid {
				return "no new gateway"
			}
			if err := fetchOf(t.Context(), client, "https://www.site.example/", samplePage); err != nil {
				return err.Error()
			}
			return ""
		})
		if after := domainIs(t, "www.site.example", agent.DomainValid).Certificate.Serial; after != before {
			t.Errorf("another certificate: %s, then %s", before, after)
		}
	})
	t.Run("removed, it leads nowhere", func(t *testing.T) {
		hks(t, "domains", "remove", "www.site.example", "--yes")
		insecure := visitor(t, root)
		eventually(t, 20*time.Second, func() string {
			if _, response := get(t, insecure, "http://www.site.example/"); response.StatusCode != http.StatusNotFound {
				return response.Status
			}
			return ""
		})
	})
}

func TestMaintenancePage(t *testing.T) {
	client := browser(t)
	const url = "https://lodge-staging.localhost/"
	deploy(t, "lodge", "page:1")
	remove(t, "lodge")
	hks(t, "app", "maintenance", "on", "lodge", "--message", "Back at nine.")
	page := func(accept string) (string, *http.Response) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", accept)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), response
	}
	eventually(t, 10*time.Second, func() string {
		if _, response := page("text/html"); response.StatusCode != http.StatusServiceUnavailable {
			return response.Status
		}
		return ""
	})
	body, response := page("text/html")
	if !strings.Contains(body, "<h1>Back at nine.</h1>") || response.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v\n%s", response.Status, response.Header, body)
	}
	if body, response = page("application/json"); !strings.Contains(body, `"code":"MAINTENANCE"`) || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", response.Header, body)
	}
	if out := hks(t, "app", "list"); !strings.Contains(out, "lodge/staging: its maintenance page is shown: Back at nine.") {
		t.Errorf("hks app list:\n%s", out)
	}
	// A new version can be brought up behind the page, and the page stays.
	deploy(t, "lodge", "page:2")
	pid := pidOf(t, "gateway")
	kill(t, "gateway")
	eventually(t, 30*time.Second, func() string {
		if pidOf(t, "gateway") == pid {
			return "no new gateway"
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return err.Error()
		}
		response, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			return response.Status
		}
		return ""
	})
	hks(t, "app", "maintenance", "off", "lodge")
	eventually(t, 10*time.Second, func() string {
		if body, _ := page("text/html"); !strings.Contains(body, "version 2") {
			return body
		}
		return ""
	})
}

// ownCertificate writes a certificate that signs itself, and its key.
func ownCertificate(t *testing.T, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "own"}, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
	return cert, key
}
