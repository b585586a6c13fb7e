package installer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/store"
)

// clinic is an installed appliance below a root of its own that nothing runs
// of, and a doctor for it whose world is made up.
type clinic struct {
	root   string
	paths  config.Paths
	doctor *doctor
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	root := t.TempDir()
	settings := config.Default(root)
	c := &clinic{root: root, paths: settings.Paths()}
	secret(t, c.paths.ConfigFile(), "domain: box.example\n")
	from := t.TempDir()
	files := &filesStep{paths: c.paths, version: "v1.0.0", sources: map[string]string{}, order: programs}
	for _, name := range programs {
		write(t, filepath.Join(from, name), "the program "+name)
		files.sources[name] = filepath.Join(from, name)
	}
	m, err := newMachine(Config{Out: io.Discard, Err: io.Discard}, root)
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(m.journalFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.applySteps(t.Context(), j, []step{files, &linksStep{paths: c.paths, version: "v1.0.0", names: programs}}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(store.Config{Path: c.paths.State("hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Open(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	secret(t, c.paths.State("secret.key"), strings.Repeat("k", 32))
	now := time.Now()
	certificate(t, c.paths.State("api/tls.pem"), now.Add(-time.Hour), now.AddDate(10, 0, 0))
	certificate(t, filepath.Join(c.paths.K3sData(), "agent/serving-kubelet.crt"), now.Add(-time.Hour), now.AddDate(1, 0, 0))
	certificate(t, filepath.Join(c.paths.K3sData(), "server/tls/serving-kube-apiserver.crt"), now.Add(-time.Hour), now.AddDate(1, 0, 0))
	c.visit(t)
	return c
}

// visit makes the doctor of the appliance as it is now.
func (c *clinic) visit(t *testing.T) *doctor {
	t.Helper()
	d, err := newDoctor(Config{Out: io.Discard, Err: io.Discard}, c.root)
	if err != nil {
		t.Fatal(err)
	}
	d.addresses = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.7"), Mask: net.CIDRMask(24, 32)}}, nil
	}
	d.lookup = func(context.Context) error { return nil }
	d.system = func(context.Context) (agent.System, error) {
		return agent.System{Parts: []agent.Part{{Name: "engine", Healthy: true}, {Name: "gateway", Healthy: true}}}, nil
	}
	d.running = func(context.Context) (map[string]bool, error) {
		return map[string]bool{"the agent": true, "k3s": true, "the gateway": true}, nil
	}
	d.free = func(string) (int64, int64, error) { return 50 << 30, 100 << 30, nil }
	d.port = func(port, []int) (Finding, error) { return Finding{Level: OK, Message: "held by hks"}, nil }
	c.doctor = d
	return d
}

// volume writes down that a volume is in use.
func (c *clinic) volume(t *testing.T, id string) {
	t.Helper()
	s, err := store.New(store.Config{Path: c.paths.State("hks.db"), Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	put := func() error {
		return s.PutVolume(t.Context(), store.Volume{ID: id, Namespace: "dev-workspace", Claim: "data", Size: 1 << 20, Status: agent.VolumeReady, CreatedAt: time.Now()})
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(put(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func secret(t *testing.T, file, text string) {
	t.Helper()
	write(t, file, text)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(file); filepath.Base(dir) == "api" || filepath.Base(dir) == "gateway" || filepath.Base(dir) == "db" || filepath.Base(dir) == "cred"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func certificate(t *testing.T, file string, from, to time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP("192.0.2.7")}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestA99DoctorFindsTheFault(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	program := func(c *clinic) string { return filepath.Join(c.paths.Versions(), "v1.0.0/hks-gateway") }
	tests := map[string]struct {
		breaks func(t *testing.T, c *clinic)
		check  string
		level  Level
		says   string
		fix    string
	}{
		"unknown key in the settings": {func(t *testing.T, c *clinic) { write(t, c.paths.ConfigFile(), "domian: x\n"); c.visit(t) }, "settings", Broken, `"domain"`, "correct"},
		"damaged journal":             {func(t *testing.T, c *clinic) { write(t, c.paths.State("journal.jsonl"), "{}\n") }, "journal", Broken, "line 1", "backup"},
		"upgrade cut off": {func(t *testing.T, c *clinic) {
			if err := c.doctor.writeChange(&change{Upgrade: agent.Upgrade{Kind: agent.KindUpgrade, From: "v1.0.0", To: "v1.1.0", State: agent.UpgradeRunning, Step: stepSwitch}}); err != nil {
				t.Fatal(err)
			}
		}, "version", Broken, "cut off while it was to switch", "hks-installer upgrade"},
		"damaged program": {func(t *testing.T, c *clinic) { write(t, program(c), "the program hks-gatewax") }, "programs", Broken, "is damaged", "up --from"},
		"missing program": {func(t *testing.T, c *clinic) {
			if err := os.Remove(program(c)); err != nil {
				t.Fatal(err)
			}
		}, "programs", Broken, "is gone", "up --from"},
		"half a version": {func(t *testing.T, c *clinic) {
			if err := relink(c.paths.Bin("hks"), filepath.Join(c.paths.Versions(), "v0.9.0/hks")); err != nil {
				t.Fatal(err)
			}
		}, "programs", Broken, "hks-agent is of version v1.0.0", "up --from"},
		"agent down": {func(_ *testing.T, c *clinic) {
			c.doctor.running = func(context.Context) (map[string]bool, error) { return map[string]bool{"k3s": true}, nil }
			c.doctor.system = func(context.Context) (agent.System, error) { return agent.System{}, errors.New("connection refused") }
		}, "agent", Broken, "does not run", "doctor --fix"},
		"engine and agent down": {func(_ *testing.T, c *clinic) {
			c.doctor.running = func(context.Context) (map[string]bool, error) { return map[string]bool{"k3s": false}, nil }
			c.doctor.system = func(context.Context) (agent.System, error) { return agent.System{}, errors.New("connection refused") }
		}, "parts", Broken, "k3s does not run", "begin with that"},
		"agent deaf": {func(_ *testing.T, c *clinic) {
			c.doctor.system = func(context.Context) (agent.System, error) { return agent.System{}, errors.New("no answer") }
		}, "agent", Broken, "runs and does not answer", "hks-installer up"},
		"node not ready": {func(_ *testing.T, c *clinic) {
			c.doctor.system = func(context.Context) (agent.System, error) {
				return agent.System{Parts: []agent.Part{{Name: "engine", Message: "the node box is not ready: disk pressure"}}}, nil
			}
		}, "engine", Broken, "disk pressure", "read "},
		"port taken": {func(_ *testing.T, c *clinic) {
			c.doctor.port = func(p port, _ []int) (Finding, error) {
				if p.number != 443 {
					return Finding{Level: OK, Message: "held by hks"}, nil
				}
				return Finding{Level: Block, Message: "port 443 is in use by apache", Fix: "stop that process"}, nil
			}
		}, "port 443", Broken, "apache", "stop"},
		"secret for everyone": {func(t *testing.T, c *clinic) {
			if err := os.Chmod(c.paths.State("secret.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "secrets", Broken, "mode 644", "chmod 600"},
		"damaged database": {func(t *testing.T, c *clinic) {
			text := []byte(read(t, c.paths.State("hks.db")))
			for i := 4096; i < len(text); i++ {
				text[i] ^= 0x5a
			}
			secret(t, c.paths.State("hks.db"), string(text))
		}, "databases", Broken, "hks.db is damaged", "rollback"},
		"no database at all": {func(t *testing.T, c *clinic) {
			secret(t, c.paths.State("hks.db"), strings.Repeat("not a database ", 500))
		}, "databases", Broken, "hks.db is damaged", "backup"},
		"certificate at its end": {func(t *testing.T, c *clinic) {
			certificate(t, c.paths.State("api/tls.pem"), time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Minute))
		}, "certificates", Broken, "ended on", "up"},
		"certificate near its end": {func(t *testing.T, c *clinic) {
			certificate(t, filepath.Join(c.paths.K3sData(), "server/tls/x.crt"), time.Now().AddDate(-1, 0, 0), time.Now().Add(48*time.Hour))
		}, "certificates", Warning, "ends on", "restart the engine"},
		"clock behind": {func(_ *testing.T, c *clinic) {
			c.doctor.now = func() time.Time { return time.Now().AddDate(-3, 0, 0) }
		}, "clock", Broken, "the clock is behind", "time service"},
		"disk full": {func(_ *testing.T, c *clinic) {
			c.doctor.free = func(string) (int64, int64, error) { return 200 << 20, 100 << 30, nil }
		}, "disk", Broken, "0.2 GiB free", "hks image prune"},
		"disk low": {func(_ *testing.T, c *clinic) {
			c.doctor.free = func(string) (int64, int64, error) { return 5 << 30, 100 << 30, nil }
		}, "disk", Warning, "5.0 GiB of 100.0 GiB free", "hks image prune"},
		"address changed": {func(_ *testing.T, c *clinic) {
			c.doctor.addresses = func() ([]net.Addr, error) {
				return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.8"), Mask: net.CIDRMask(24, 32)}}, nil
			}
		}, "address", Broken, "made with 192.0.2.7", "address again"},
		"volume not mounted": {func(t *testing.T, c *clinic) {
			c.volume(t, "pvc-1")
			write(t, filepath.Join(c.paths.Volumes(), "pvc-1/disk.img"), "a file system")
		}, "volumes", Broken, "pvc-1 is not mounted", "doctor --fix"},
		"volume gone": {func(t *testing.T, c *clinic) { c.volume(t, "pvc-1") }, "volumes", Broken, "pvc-1 is gone", "backup"},
		"node without its engine": {func(t *testing.T, c *clinic) {
			secret(t, c.paths.NodeFile(), "{}")
			c.visit(t).running = func(context.Context) (map[string]bool, error) { return map[string]bool{"the agent": true}, nil }
		}, "parts", Broken, "k3s does not run", "tries again"},
		"names dead": {func(_ *testing.T, c *clinic) {
			c.doctor.lookup = func(context.Context) error { return errors.New("i/o timeout") }
		}, "names", Warning, "no name server answers", "resolv.conf"},
	}
	if findings := newClinic(t).doctor.look(t.Context()); brokenError(findings, 0) != nil || levelOf(findings, Warning) != "" {
		t.Fatalf("a healthy appliance: %+v", findings)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClinic(t)
			tt.breaks(t, c)
			for _, f := range c.doctor.look(t.Context()) {
				if f.Check == tt.check && f.Level == tt.level && strings.Contains(f.Message, tt.says) && strings.Contains(f.Fix, tt.fix) {
					return
				}
			}
			t.Errorf("not found: %s (%s) with %q and the mend %q; found %+v", tt.check, tt.level, tt.says, tt.fix, c.doctor.look(t.Context()))
		})
	}
}

func levelOf(findings []Finding, level Level) string {
	for _, f := range findings {
		if f.Level == level {
			return f.Check + ": " + f.Message
		}
	}
	return ""
}

func TestDoctorMendsWhatIsSafe(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newClinic(t)
	file := c.paths.State("secret.key")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.doctor.out = &out
	if err := c.doctor.examine(t.Context(), false, true); err == nil || !strings.Contains(err.Error(), "1 thing is broken") {
		t.Errorf("error %v", err)
	}
	var findings []Finding
	if err := json.Unmarshal([]byte(out.String()), &findings); err != nil || levelOf(findings, Broken) == "" {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := c.doctor.examine(t.Context(), true, false); err != nil {
		t.Errorf("after the mend: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
