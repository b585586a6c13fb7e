package systemd

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenStream(t *testing.T) {
	for address, want := range map[string]string{
		":8443": "8443", "127.0.0.1:5000": "127.0.0.1:5000", "[::1]:80": "[::1]:80", "/run/hks/agent.sock": "/run/hks/agent.sock",
		"localhost:80": "", ":https": "", ":0": "", "nonsense": "", "/a b": "", "[fe80::1%eth0]:80": "",
	} {
		if got, ok := ListenStream(address); ok != (want != "") || (ok && got != want) {
			t.Errorf("%s: %q %t, want %q", address, got, ok, want)
		}
	}
}

func TestSocketsAreFoundByTheirAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var s Sockets
	addresses := map[string]string{}
	for _, listen := range [][2]string{{"tcp", ":0"}, {"tcp", "127.0.0.1:0"}, {"unix", path}} {
		l, err := net.Listen(listen[0], listen[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		file, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		s.files = append(s.files, file)
		addresses[listen[1]] = l.Addr().String()
	}
	_, port, err := net.SplitHostPort(addresses[":0"])
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		network, address string
		found            bool
	}{
		{"tcp", ":" + port, true}, {"tcp", addresses["127.0.0.1:0"], true}, {"unix", path, true},
		{"tcp", "127.0.0.1:" + port, false}, {"tcp", strings.Replace(addresses["127.0.0.1:0"], "127.0.0.1", "", 1), false}, {"unix", path + "x", false}, {"tcp", path, false},
	}
	for _, tt := range tests {
		l, found, err := s.Listener(tt.network, tt.address)
		if err != nil || found != tt.found {
			t.Errorf("%s %s: found %t, %v", tt.network, tt.address, found, err)
		}
		if !found {
			continue
		}
		// It works after it was closed and taken again, as over a restart.
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial(tt.network, l.Addr().String())
		if err != nil {
			t.Fatalf("%s: between two owners: %v", tt.address, err)
		}
		again, _, err := s.Listener(tt.network, tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if accepted, err := again.Accept(); err != nil {
			t.Error(err)
		} else {
			_ = accepted.Close()
		}
		_, _ = conn.Close(), again.Close()
	}
	var none *Sockets
	if _, found, err := none.Listener("tcp", ":1"); found || err != nil {
		t.Errorf("without sockets: %t %v", found, err)
	}
}

func TestRunnerHasSystemdListen(t *testing.T) {
	folder, m := t.TempDir(), &fakeManager{active: "inactive"}
	runner := func(listen ...string) *Runner {
		r := newRunner(t, m, folder, "/bin/x")
		r.cfg.Unit.Listen = listen
		var err error
		if r.text, err = r.cfg.Unit.Text(); err != nil {
			t.Fatal(err)
		}
		if r.socket, err = r.cfg.Unit.SocketText(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := runner(":80", "/run/x.sock").Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "x.socket"))
	if err != nil || !strings.Contains(string(text), "ListenStream=80\nListenStream=/run/x.sock\n") {
		t.Errorf("sockets: %v\n%s", err, text)
	}
	service, err := os.ReadFile(filepath.Join(folder, "x.service"))
	if err != nil || !strings.Contains(string(service), "Requires=x.socket\n") {
		t.Errorf("service: %v\n%s", err, service)
	}
	m.take()
	if err := runner(":80", "/run/x.sock").Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.take(); got != "enable" {
		t.Errorf("again: calls %q, want none but enable", got)
	}
	if err := runner().Start(t.Context()); err != nil { // an older version without
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "x.socket")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the sockets' unit was left: %v", err)
	}
	if _, err := (Unit{Name: "x.service", Listen: []string{"localhost:1"}}).SocketText(); err == nil {
		t.Error("systemd was asked to look up a name")
	}
	if text, err := Gateway([]string{"/bin/g"}, nil, true).Text(); err != nil || !strings.Contains(text, "ProtectSystem=strict\n") || !strings.Contains(text, "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n") {
		t.Errorf("the gateway's unit: %v\n%s", err, text)
	}
	if text, err := Agent([]string{"/bin/a"}, nil).Text(); err != nil || strings.Contains(text, "Protect") || !strings.Contains(text, "WatchdogSec=30000ms\n") {
		t.Errorf("the agent's unit has a mount namespace, or no watchdog: %v\n%s", err, text)
	}
}
