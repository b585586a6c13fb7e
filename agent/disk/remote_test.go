package disk

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// pairOf are the two sides of one acquaintance.
func pairOf(t *testing.T) (appliance, node agent.DiskKeys) {
	t.Helper()
	for _, one := range []*agent.DiskKeys{&appliance, &node} {
		var err error
		if one.Certificate, one.Key, err = NewKeys("one", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	appliance.Peer, node.Peer = node.Certificate, appliance.Certificate
	return appliance, node
}

// served are disks behind TLS on a loopback address of their own.
func served(t *testing.T, d *Disks, address string, keys agent.DiskKeys) {
	t.Helper()
	config, err := ServerTLS(keys)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, strconv.Itoa(Port)))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d.Handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(tls.NewListener(listener, config)) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
}

func TestA87DiskIsCarriedToAnotherMachine(t *testing.T) {
	here, there := disks(t), disks(t)
	appliance, node := pairOf(t)
	served(t, there, "127.87.0.1", node)
	far, err := NewRemote(RemoteConfig{Node: "prod-1", Address: "127.87.0.1", Dir: there.dir, Keys: appliance})
	if err != nil {
		t.Fatal(err)
	}
	make1(t, here, "pvc-1", 32<<20)
	if err := os.WriteFile(filepath.Join(here.Data("pvc-1"), "note"), []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := here.Unmount("pvc-1"); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := far.Accept(ctx, "vol-1", 32<<20); err != nil {
		t.Fatal(err)
	}
	if is, err := far.Exists("vol-1"); err != nil || is {
		t.Errorf("a disk that arrives is there already: %v %v", is, err)
	}
	sums, err := here.Sums(ctx, "pvc-1")
	if err != nil || len(sums) != 32 {
		t.Fatalf("%d sums, %v", len(sums), err)
	}
	sent := 0
	for n, sum := range sums {
		if sum == (Sum{}) {
			continue
		}
		data, err := here.ReadChunk(ctx, "pvc-1", n)
		if err != nil {
			t.Fatal(err)
		}
		if err := far.WriteChunk(ctx, "vol-1", n, data); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if sent == 0 || sent == len(sums) {
		t.Errorf("%d of %d chunks were sent: holes are left out", sent, len(sums))
	}
	if err := far.Seal(ctx, "vol-1", strings.Repeat("0", 64)); agent.CodeOf(err) != agent.CodeConflict {
		t.Errorf("sealed with another checksum: %v", err)
	}
	for range 2 { // again: it is compared only
		if err := far.Seal(ctx, "vol-1", Digest(sums)); err != nil {
			t.Fatal(err)
		}
	}
	if err := far.Mount(ctx, "vol-1"); err != nil {
		t.Fatal(err)
	}
	if note, err := os.ReadFile(filepath.Join(far.Data("vol-1"), "note")); err != nil || string(note) != "dear diary" {
		t.Errorf("there is %q, %v", note, err)
	}
	if used, size, ok := far.Fill("vol-1"); !ok || used <= 0 || size < used {
		t.Errorf("its fill: %d of %d, %v", used, size, ok)
	}
	if idle, err := far.Idle("vol-1"); err != nil || idle {
		t.Errorf("a mounted one is idle: %v %v", idle, err)
	}
	if err := far.Unmount("vol-1"); err != nil {
		t.Fatal(err)
	}
	if err := far.Remove(ctx, "vol-1"); err != nil {
		t.Fatal(err)
	}
	if err := far.Room(1 << 60); agent.CodeOf(err) != agent.CodeQuotaStorage || !strings.Contains(err.Error(), "prod-1") {
		t.Errorf("no room there: %v", err)
	}
}

func TestA86NobodyElseGetsAtTheDisks(t *testing.T) {
	_, node := pairOf(t)
	stranger, _ := pairOf(t)
	stranger.Peer = node.Certificate
	there, err := New(Config{Dir: filepath.Join(t.TempDir(), "volumes")})
	if err != nil {
		t.Fatal(err)
	}
	served(t, there, "127.87.0.2", node)
	far, err := NewRemote(RemoteConfig{Node: "prod-1", Address: "127.87.0.2", Dir: "/", Keys: stranger})
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Room(1); agent.CodeOf(err) != agent.CodeClusterAway {
		t.Errorf("a stranger was let in: %v", err)
	}
	appliance, other := pairOf(t)
	appliance.Peer = other.Certificate // and somebody else answers in the node's place
	far, err = NewRemote(RemoteConfig{Node: "prod-1", Address: "127.87.0.2", Dir: "/", Keys: appliance})
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Room(1); agent.CodeOf(err) != agent.CodeClusterAway || !strings.Contains(err.Error(), "not the machine that was joined") {
		t.Errorf("an impostor was believed: %v", err)
	}
}

func TestArrivingDiskIsHeldToItsBounds(t *testing.T) {
	d, err := New(Config{Dir: filepath.Join(t.TempDir(), "volumes")})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := d.Accept(ctx, "vol-1", 3<<20); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"beyond its end": d.WriteChunk(ctx, "vol-1", 3, []byte{1}),
		"too large":      d.WriteChunk(ctx, "vol-1", 0, bytes.Repeat([]byte{1}, Chunk+1)),
		"before it":      d.WriteChunk(ctx, "vol-1", -1, []byte{1}),
		"another":        d.WriteChunk(ctx, "vol-2", 0, []byte{1}),
		"no name":        d.WriteChunk(ctx, "../x", 0, []byte{1}),
	} {
		if err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	if err := d.WriteChunk(ctx, "vol-1", 1, []byte("something")); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteChunk(ctx, "vol-1", 1, nil); err != nil { // zeros again
		t.Fatal(err)
	}
	sums, err := d.Sums(ctx, "vol-1")
	if err != nil || len(sums) != 3 || sums[1] != (Sum{}) {
		t.Errorf("%v %v", sums, err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Sums(stopped, "vol-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("it was not to be ended: %v", err)
	}
}
