package systemd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"hks.dev/hks/agent"
)

// listen plays the service manager's side of sd_notify(3).
func listen(t *testing.T) (string, func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return path, func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func environment(vars map[string]string) func(string) string {
	return func(key string) string { return vars[key] }
}

func TestNotifierTellsTheServiceManager(t *testing.T) {
	socket, next := listen(t)
	n, err := NewNotifier(environment(map[string]string{"NOTIFY_SOCKET": socket}), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		send func() error
		want string
	}{
		{func() error { return n.Status(t.Context(), "waiting for the node") }, "STATUS=waiting for the node"},
		{func() error { return n.Ready(t.Context()) }, "READY=1"},
		{func() error { return n.Stopping(t.Context()) }, "STOPPING=1"},
	} {
		if err := step.send(); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	if err := n.Status(t.Context(), "x\nREADY=1"); err == nil {
		t.Error("a status of two lines was sent")
	}
}

func TestNotifierWatchdog(t *testing.T) {
	socket, next := listen(t)
	n, err := NewNotifier(environment(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "40000", "WATCHDOG_PID": "7"}), 7)
	if err != nil {
		t.Fatal(err)
	}
	ill := errors.New("the database is locked")
	checks := 0
	done := make(chan error, 1)
	go func() {
		done <- n.Watchdog(t.Context(), func(context.Context) error {
			if checks++; checks > 3 {
				return ill
			}
			return nil
		})
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	if err := <-done; !errors.Is(err, ill) {
		t.Errorf("error = %v, want the check's", err)
	}
}

func TestNotifierWithoutServiceManager(t *testing.T) {
	tests := map[string]struct {
		vars map[string]string
		ok   bool
	}{
		"nothing set":             {nil, true},
		"another one's watchdog":  {map[string]string{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "8"}, true},
		"nonsense as the time":    {map[string]string{"WATCHDOG_USEC": "soon"}, false},
		"a time that is negative": {map[string]string{"WATCHDOG_USEC": "-5"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n, err := NewNotifier(environment(tt.vars), 7)
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v", err)
			}
			if err != nil {
				return
			}
			if err := errors.Join(n.Ready(t.Context()), n.Watchdog(t.Context(), nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOnDemandUnitDoesNotStartWithTheMachine(t *testing.T) {
	text, err := Unit{Name: BuilderUnit, Command: []string{"/usr/local/bin/hks-buildkitd"}, OnDemand: true}.Text()
	if err != nil || strings.Contains(text, "[Install]") {
		t.Errorf("unit:\n%s\n%v", text, err)
	}
}

func TestK3sUnitText(t *testing.T) {
	text, err := K3s("hks-k3s.service", []string{"/usr/local/bin/k3s", "server"},
		map[string]string{"K3S_DATA_DIR": "/var/lib/rancher/k3s", "K3S_CONFIG_FILE": "/etc/rancher/k3s/config.yaml"}).Text()
	if err != nil {
		t.Fatal(err)
	}
	want := `[Unit]
Description=hks: Kubernetes (k3s)
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
Environment="K3S_CONFIG_FILE=/etc/rancher/k3s/config.yaml"
Environment="K3S_DATA_DIR=/var/lib/rancher/k3s"
ExecStartPre=-"/sbin/modprobe" "br_netfilter"
ExecStartPre=-"/sbin/modprobe" "overlay"
ExecStart="/usr/local/bin/k3s" "server"
Restart=always
RestartSec=5s
TimeoutStartSec=300000ms
TimeoutStopSec=60000ms
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitCORE=infinity
LimitNPROC=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`
	if text != want {
		t.Errorf("unit:\n%s\nwant:\n%s", text, want)
	}
}

func TestUnitTextQuotesAndRefuses(t *testing.T) {
	u := Unit{Name: "x.service", Command: []string{"/bin/x", `a "b" 100% $HOME \`}, Environment: map[string]string{"A": "50% $x"}}
	text, err := u.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`ExecStart="/bin/x" "a \"b\" 100%% $$HOME \\"`, `Environment="A=50%% $x"`, "Type=exec"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	for name, bad := range map[string]Unit{
		"no command":      {Name: "x.service"},
		"relative path":   {Name: "x.service", Command: []string{"x"}},
		"no service":      {Name: "x", Command: []string{"/x"}},
		"a path as name":  {Name: "../x.service", Command: []string{"/x"}},
		"a second option": {Name: "x.service", Command: []string{"/x", "a\nUser=nobody"}},
	} {
		if text, err := bad.Text(); err == nil {
			t.Errorf("%s: made\n%s", name, text)
		}
	}
}

// fakeManager is systemd as far as one unit and its sockets go.
type fakeManager struct {
	mu     sync.Mutex // guards all below
	calls  []string
	active string
	pid    uint32
	socket string // state of the sockets' unit
	update chan<- *dbus.PropertiesUpdate
}

func (f *fakeManager) call(format string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, format)
}

func (f *fakeManager) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := strings.Join(f.calls, " ")
	f.calls = nil
	return calls
}

func (f *fakeManager) set(active string, pid uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active, f.pid = active, pid
	if f.update != nil {
		f.update <- &dbus.PropertiesUpdate{UnitName: "other.service"}
		f.update <- &dbus.PropertiesUpdate{UnitName: "x.service"}
	}
}

func (f *fakeManager) ReloadContext(context.Context) error { f.call("reload"); return nil }
func (f *fakeManager) EnableUnitFilesContext(context.Context, []string, bool, bool) (bool, []dbus.EnableUnitFileChange, error) {
	f.call("enable")
	return true, nil, nil
}
func (f *fakeManager) DisableUnitFilesContext(context.Context, []string, bool) ([]dbus.DisableUnitFileChange, error) {
	f.call("disable")
	return nil, nil
}
func (f *fakeManager) StartUnitContext(_ context.Context, name, _ string, done chan<- string) (int, error) {
	f.call("start")
	f.become(name, "active", 42)
	if done != nil {
		done <- "done"
	}
	return 1, nil
}
func (f *fakeManager) StopUnitContext(_ context.Context, name, _ string, done chan<- string) (int, error) {
	f.call("stop")
	f.become(name, "inactive", 0)
	done <- "done"
	return 1, nil
}
func (f *fakeManager) become(name, state string, pid uint32) {
	if !strings.HasSuffix(name, ".socket") {
		f.set(state, pid)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.socket = state
}
func (f *fakeManager) ResetFailedUnitContext(context.Context, string) error {
	return errors.New("not loaded")
}
func (f *fakeManager) GetAllPropertiesContext(_ context.Context, name string) (map[string]any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasSuffix(name, ".socket") {
		return map[string]any{"ActiveState": f.socket}, nil
	}
	return map[string]any{"ActiveState": f.active, "MainPID": f.pid, "NRestarts": uint32(2), "ExecMainStartTimestamp": uint64(1e15)}, nil
}
func (f *fakeManager) SetPropertiesSubscriber(updates chan<- *dbus.PropertiesUpdate, _ chan<- error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.update = updates
}
func (f *fakeManager) Subscribe() error { return nil }
func (f *fakeManager) Close()           {}

func newRunner(t *testing.T, m manager, folder string, command ...string) *Runner {
	t.Helper()
	r, err := New(Config{Unit: Unit{Name: "x.service", Command: command}, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	r.dial = func(context.Context) (manager, error) { return m, nil }
	return r
}

func TestRunnerKeepsAUnitUnlessItChanged(t *testing.T) {
	folder, m := t.TempDir(), &fakeManager{active: "inactive"}
	steps := []struct {
		name string
		run  func() error
		want string
	}{
		{"first start", func() error { return newRunner(t, m, folder, "/bin/x").Start(t.Context()) }, "reload enable start"},
		{"again", func() error { return newRunner(t, m, folder, "/bin/x").Start(t.Context()) }, "enable"},
		{"changed", func() error { return newRunner(t, m, folder, "/bin/x", "-v").Start(t.Context()) }, "reload stop enable start"},
		{"stop", func() error { return newRunner(t, m, folder, "/bin/x").Stop(t.Context()) }, "stop"},
		{"stop again", func() error { return newRunner(t, m, folder, "/bin/x").Stop(t.Context()) }, ""},
		{"remove", func() error { return newRunner(t, m, folder, "/bin/x").Remove(t.Context()) }, "disable reload"},
		{"remove again", func() error { return newRunner(t, m, folder, "/bin/x").Remove(t.Context()) }, ""},
	}
	for _, step := range steps {
		if err := step.run(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := m.take(); got != step.want {
			t.Errorf("%s: calls %q, want %q", step.name, got, step.want)
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
		t.Errorf("files left: %v, %v", files, err)
	}
}

func TestRunnerWatches(t *testing.T) {
	m := &fakeManager{active: "active", pid: 7}
	r := newRunner(t, m, t.TempDir(), "/bin/x")
	ctx, cancel := context.WithCancel(t.Context())
	states, done := make(chan agent.ProcessState, 8), make(chan error, 1)
	go func() { done <- r.Watch(ctx, func(s agent.ProcessState) { states <- s }) }()
	if s := <-states; !s.Running || s.PID != 7 || s.Restarts != 2 {
		t.Errorf("state = %+v", s)
	}
	m.set("inactive", 0)
	if s := <-states; s.Running {
		t.Errorf("state = %+v, want it stopped", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadState(t *testing.T) {
	state, active := readState(map[string]any{
		"ActiveState": "failed", "MainPID": uint32(0), "NRestarts": uint32(3), "Result": "watchdog",
		"ExecMainCode": int32(2), "ExecMainStatus": int32(9), "ExecMainExitTimestamp": uint64(1_700_000_000_000_000),
	})
	want := agent.ProcessState{Since: time.Unix(1_700_000_000, 0), Restarts: 3, LastExit: "killed by signal 9 (watchdog)"}
	if active != "failed" || !state.Since.Equal(want.Since) || state.LastExit != want.LastExit || state.Restarts != 3 || state.Running {
		t.Errorf("state = %+v, want %+v", state, want)
	}
	if state, _ := readState(map[string]any{}); state.Running {
		t.Errorf("an unknown unit runs: %+v", state)
	}
}
