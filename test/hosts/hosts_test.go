package hosts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func TestHostBootsRebootsAndLosesItsPower(t *testing.T) {
	h := start(t, "one", 2, "")
	ctx := t.Context()
	boot := func() string {
		t.Helper()
		out, err := h.Run(ctx, "cat", "/proc/1/comm")
		if err != nil || strings.TrimSpace(out) != "systemd" {
			t.Fatalf("PID 1 is %q: %v", out, err)
		}
		out, err = h.Run(ctx, "systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value")
		if err != nil {
			t.Fatal(err, out)
		}
		return out
	}
	first := boot()
	if out, err := h.Script(ctx, "echo kept >/root/file; date -s 2030-01-01 && exit 1; ip -br address show host0"); err != nil || !strings.Contains(out, h.Address) {
		t.Fatalf("the host's address, and no right to the clock: %v\n%s", err, out)
	}
	for name, turn := range map[string]func() error{
		"reboot":     func() error { return h.Reboot(ctx) },
		"power loss": func() error { _ = h.PowerCut(ctx); return h.PowerOn(ctx) },
	} {
		if err := turn(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again := boot(); again == first {
			t.Errorf("%s: systemd did not start anew", name)
		}
		if out, err := h.Run(ctx, "cat", "/root/file"); err != nil || out != "kept\n" {
			t.Errorf("%s: the disk was not kept: %q %v", name, out, err)
		}
	}
}

// start boots a host of the base that HKS_HOSTS_CACHE keeps, for one test.
func start(t *testing.T, name string, number int, share string) *Host {
	t.Helper()
	cache := os.Getenv("HKS_HOSTS_CACHE")
	if cache == "" {
		t.Skip("run by make hosts")
	}
	base, err := Base(t.Context(), cache, "bookworm")
	if err != nil {
		t.Fatal(err)
	}
	network, err := NewNetwork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	console, err := os.Create(filepath.Join(os.TempDir(), "hks-host-"+name+".console"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = console.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	h, err := Start(ctx, Config{Network: network, Base: base, Name: name, Number: number, Share: share, Console: console})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
