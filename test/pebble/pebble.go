// Package pebble runs Let's Encrypt's test authority, with a name server that
// says what a test wants. The programs are built from test/acme.
package pebble

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
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Config says where the programs are and what the authority is to be like.
type Config struct {
	Bin      string // folder of the programs
	Dir      string // for its files
	HTTPPort int    // where it looks for HTTP-01
	TLSPort  int    // where it looks for TLS-ALPN-01
	Validity time.Duration
	Blocked  []string // names it refuses
	Listen   string   // address:port of the directory; default: a free one
	Resolver string   // address:port of the name server; default: a free one
	Output   io.Writer
	AllNames string // what every name points to; default 127.0.0.1
}

// Authority is a running Pebble with its name server.
type Authority struct {
	Directory string // URL
	CA        string // file with what the directory's certificate is checked against
	Resolver  string // address:port

	cfg        Config
	management string
	roots      string
	pebble     *exec.Cmd
	names      *exec.Cmd
	client     *http.Client
}

// Start starts both; Stop ends them.
func Start(ctx context.Context, cfg Config) (*Authority, error) {
	a := &Authority{cfg: cfg, CA: filepath.Join(cfg.Dir, "directory-ca.pem")}
	for _, address := range []*string{&a.cfg.Listen, &a.cfg.Resolver, &a.management, &a.roots} {
		if *address != "" {
			continue
		}
		free, err := freeAddress()
		if err != nil {
			return nil, err
		}
		*address = free
	}
	a.Directory, a.Resolver = "https://"+a.cfg.Listen+"/dir", a.cfg.Resolver
	if err := a.files(); err != nil {
		return nil, err
	}
	if a.cfg.AllNames == "" {
		a.cfg.AllNames = "127.0.0.1"
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(a.CA)
	if err != nil {
		return nil, err
	}
	pool.AppendCertsFromPEM(text)
	a.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	a.names, err = a.run(ctx, "pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-dnsserver", a.Resolver, "-management", a.management, "-defaultIPv4", a.cfg.AllNames, "-defaultIPv6", "")
	if err != nil {
		return nil, err
	}
	if err := a.Up(ctx); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

// Up starts the authority again, with the same address. It remembers nothing.
func (a *Authority) Up(ctx context.Context) error {
	var err error
	if a.pebble, err = a.run(ctx, "pebble", "-config", filepath.Join(a.cfg.Dir, "pebble.json"), "-dnsserver", a.Resolver); err != nil {
		return err
	}
	for {
		if _, err = a.get(ctx, a.Directory); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for pebble: %w", errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Down ends the authority; the name server goes on.
func (a *Authority) Down() error { return end(a.pebble) }

// Stop ends both.
func (a *Authority) Stop() error { return errors.Join(end(a.pebble), end(a.names)) }

// Point makes a name point to these addresses only.
func (a *Authority) Point(ctx context.Context, host string, addresses ...string) error {
	if err := a.tell(ctx, "/clear-a", map[string]any{"host": host}); err != nil {
		return err
	}
	return a.tell(ctx, "/add-a", map[string]any{"host": host, "addresses": addresses})
}

// Root is the root of the certificates that it issues, PEM.
func (a *Authority) Root(ctx context.Context) ([]byte, error) {
	return a.get(ctx, "https://"+a.roots+"/roots/0")
}

func (a *Authority) run(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(a.cfg.Bin, name), args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = a.cfg.Output, a.cfg.Output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return cmd, nil
}

func end(cmd *exec.Cmd) error {
	if cmd == nil || cmd.ProcessState != nil {
		return nil
	}
	err := cmd.Process.Kill()
	_ = cmd.Wait() // killed: there is nothing to learn
	return err
}

func (a *Authority) files() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the directory of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	validity := a.cfg.Validity
	if validity == 0 {
		validity = 90 * 24 * time.Hour
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.cfg.Listen, "managementListenAddress": a.roots,
		"certificate": a.CA, "privateKey": filepath.Join(a.cfg.Dir, "directory.key"),
		"httpPort": a.cfg.HTTPPort, "tlsPort": a.cfg.TLSPort, "domainBlocklist": append([]string{"blocked.example"}, a.cfg.Blocked...),
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "of the test", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(a.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(a.cfg.Dir, "directory.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(filepath.Join(a.cfg.Dir, "pebble.json"), config, 0o600),
	)
}

func (a *Authority) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return a.do(request)
}

// tell tells the name server something. It is given a moment to start.
func (a *Authority) tell(ctx context.Context, path string, what map[string]any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.management+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		_, err = a.do(request)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *Authority) do(request *http.Request) ([]byte, error) {
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", request.URL, response.Status, body)
	}
	return body, err
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
