package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// start begins to listen.
func (a *appliance) start() *appliance {
	a.t.Helper()
	if err := a.Start(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	return a
}

// client trusts the appliance by its fingerprint, as the command does.
func (a *appliance) client() *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // verified below
		VerifyConnection: func(state tls.ConnectionState) error {
			if fingerprint(state.PeerCertificates[0].Raw) != a.Fingerprint() {
				return errors.New("another certificate")
			}
			return nil
		},
	}}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (a *appliance) get(client *http.Client, path, cookie string, header ...string) *http.Response {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, "https://"+a.Addr().String()+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: sessionCookie, Value: cookie})
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func overSocket(path string) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", path)
		},
	}}
}

func TestA08TheFingerprintIsTheSameOnBothSides(t *testing.T) {
	a := newAppliance(t).start()
	resp := a.get(a.client(), "/api/info", "")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), a.Fingerprint()) {
		t.Errorf("info: %s, %v", body, err)
	}
	if resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%s over TLS %x", resp.Proto, resp.TLS.Version)
	}
}

func TestTheSocketIsForRootOnly(t *testing.T) {
	a := newAppliance(t).start()
	path := a.cfg.Settings.Paths().AgentSocket()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	resp, err := overSocket(path).Get("http://hks/api/whoami")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), `"root"`) {
		t.Errorf("whoami: %s, %v", body, err)
	}
}

func TestStopIsCleanAndCanBeRepeated(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	events := a.get(a.client(), "/api/events", cookie)
	for range 2 {
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("the event stream did not end cleanly: %v", err)
	}
	if _, err := os.Stat(a.cfg.Settings.Paths().AgentSocket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if conn, err := net.DialTimeout("tcp", a.Addr().String(), time.Second); err == nil {
		_ = conn.Close()
		t.Error("the port is open")
	}
	select {
	case err := <-a.Failed():
		t.Errorf("a stop is no failure: %v", err)
	default:
	}
	if err := a.Start(t.Context()); err == nil {
		t.Error("started after the stop")
	}
}

func TestStopBeforeStart(t *testing.T) {
	if err := newAppliance(t).Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAPortInUseNamesTheMend(t *testing.T) {
	a, b := newAppliance(t).start(), newAppliance(t)
	b.cfg.Settings.API.Listen = a.Addr().String()
	err := b.Start(t.Context())
	shown, ok := errors.AsType[*agent.Error](err)
	_, port, _ := net.SplitHostPort(a.Addr().String())
	if !ok || !strings.Contains(shown.Message, port) || !strings.Contains(shown.Fix, "api.listen") || !strings.Contains(shown.Fix, "ss -ltnp") {
		t.Errorf("the error is %+v", err)
	}
	if _, err := os.Stat(b.cfg.Settings.Paths().AgentSocket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half of it was left: %v", err)
	}
}

func TestALeftOverSocketIsRemovedAndALiveOneIsNot(t *testing.T) {
	a := newAppliance(t)
	path := a.cfg.Settings.Paths().AgentSocket()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	a.start()
	b := newAppliance(t)
	b.cfg.Settings.Root = a.cfg.Settings.Root
	if err := b.Start(t.Context()); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("a second agent: %v", err)
	}
	resp, err := overSocket(path).Get("http://hks/healthz")
	if err != nil {
		t.Fatalf("the first one's socket is gone: %v", err)
	}
	_ = resp.Body.Close()
}

func TestAPathTooLongForASocket(t *testing.T) {
	_, err := listenSocket(t.Context(), "/"+strings.Repeat("x", maxSocketPath))
	if agent.CodeOf(err) != agent.CodeInvalid {
		t.Errorf("the error is %v", err)
	}
}

func TestTheCertificateStays(t *testing.T) {
	folder := t.TempDir()
	names := []string{"localhost", "hks.example.com", "127.0.0.1", "::1"}
	first, print1, err := loadCertificate(folder, names, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, print2, err := loadCertificate(folder, []string{"another.example.com"}, time.Now)
	if err != nil || print1 != print2 || !strings.HasPrefix(print1, "SHA256:") || len(print1) != len("SHA256:")+64 {
		t.Errorf("%s, then %s, %v", print1, print2, err)
	}
	leaf, err := x509.ParseCertificate(first.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.PublicKeyAlgorithm != x509.ECDSA || !slices.Equal(leaf.DNSNames, names[:2]) || len(leaf.IPAddresses) != 2 || time.Until(leaf.NotAfter) < 9*365*24*time.Hour {
		t.Errorf("the certificate: %v, %v until %s", leaf.DNSNames, leaf.IPAddresses, leaf.NotAfter)
	}
	if info, err := os.Stat(filepath.Join(folder, "tls.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

func TestADamagedCertificateIsNotReplaced(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "tls.pem")
	damaged := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	if err := os.WriteFile(file, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := loadCertificate(folder, nil, time.Now)
	if agent.CodeOf(err) != agent.CodeInvalid || !strings.Contains(err.Error(), file) {
		t.Errorf("the error is %v", err)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(damaged) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestNoRoomForTheCertificate(t *testing.T) {
	a := newAppliance(t)
	blocked := a.cfg.Settings.Paths().State("api")
	if err := os.MkdirAll(filepath.Dir(blocked), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("the error is %v", err)
	}
}

func TestAnImageOverTheLimitIsRefusedAtOnce(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	conn, err := tls.Dial("tcp", a.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // only the answer counts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /api/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\nCookie: hks_session="+cookie+
		"\r\nContent-Length: 4294967297\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %s", resp.Status)
	}
}

func TestABrokenUploadIsNotTakenForADamagedArchive(t *testing.T) {
	a := newAppliance(t).start()
	cookie := a.setUp()
	a.images.wrap = true
	conn, err := tls.Dial("tcp", a.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // only the answer counts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /api/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\nCookie: hks_session="+cookie+
		"\r\nContent-Length: 100\r\n\r\nonly this")
	if err := errors.Join(err, conn.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "broke off") {
		t.Errorf("answered %s %s, %v", resp.Status, body, err)
	}
}

func TestNewWantsEverything(t *testing.T) {
	a := newAppliance(t)
	cfg := a.config(t.TempDir())
	cfg.Apps = nil
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "Apps") {
		t.Errorf("the error is %v", err)
	}
}

func TestFirstLoginIsTakenUpAtTheNextStart(t *testing.T) {
	a := newAppliance(t)
	a.workspaces.fail = errors.New("the agent was killed")
	a.setUp()
	a.work.Wait()
	a.workspaces.mu.Lock()
	a.workspaces.fail = nil
	a.workspaces.mu.Unlock()
	a.start()
	for len(a.workspaces.names()) < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("no workspace was made")
		case <-time.After(time.Millisecond):
		}
	}
}
