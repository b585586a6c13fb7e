package buildkit

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"hks.dev/hks/agent"
)

func testClient(t *testing.T, change func(*ClientConfig)) *Client {
	t.Helper()
	cfg := ClientConfig{
		Socket: "/nowhere", Network: NetworkHost,
		Use:      func(context.Context) (func(), error) { return func() {}, nil },
		Registry: func() Registry { return Registry{Address: "127.0.0.1:5443", Username: "hks", Password: "canary"} },
	}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOptions(t *testing.T) {
	c := testClient(t, func(cfg *ClientConfig) { cfg.Network = NetworkNone })
	opt, done, err := c.options(Job{
		Key: "web/app", Mounts: "web", Dockerfile: []byte("FROM scratch\n"), Target: "out", Args: map[string]string{"A": "b", "BUILDKIT_CACHE_MOUNT_NS": "other"}, Labels: map[string]string{"l": "m"},
		Push: "web/app:12", Fresh: true, Epoch: time.Unix(1_700_000_000, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	attrs := map[string]string{
		"cmdline": "dockerfile.v0", "filename": "Dockerfile", "force-network-mode": "none", "target": "out", "no-cache": "",
		"build-arg:A": "b", "build-arg:BUILDKIT_CACHE_MOUNT_NS": "web", "build-arg:SOURCE_DATE_EPOCH": "1700000000", "label:l": "m",
	}
	if !maps.Equal(opt.FrontendAttrs, attrs) {
		t.Errorf("attributes = %v", opt.FrontendAttrs)
	}
	export := map[string]string{
		"name": "127.0.0.1:5443/web/app:12", "push": "true", "oci-mediatypes": "true", "compression": "zstd", "compression-level": "1", "rewrite-timestamp": "true",
	}
	if len(opt.Exports) != 1 || opt.Exports[0].Type != client.ExporterImage || !maps.Equal(opt.Exports[0].Attrs, export) {
		t.Errorf("exports = %+v", opt.Exports)
	}
	if opt.SharedKey != "web/app" || len(opt.AllowedEntitlements) != 0 || len(opt.LocalMounts) != 2 {
		t.Errorf("options = %+v", opt)
	}
	done()
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "hks-build-*")); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary folder: %q, %v", left, err)
	}
}

func TestOptionsRefuse(t *testing.T) {
	tests := map[string]Job{
		"no tag":              {Dockerfile: []byte("x"), Push: "web/app"},
		"not a name":          {Dockerfile: []byte("x"), Push: "Web App:1"},
		"another name":        {Dockerfile: []byte("x"), Push: "web:1,docker.io/evil:1"},
		"recipe outside":      {Context: t.TempDir(), File: "../Dockerfile"},
		"source is not there": {Context: "/nowhere/at/all"},
		"large secret":        {Dockerfile: []byte("x"), Secrets: map[string][]byte{"x": make([]byte, 600<<10)}},
	}
	for name, job := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := testClient(t, nil).options(job); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := testClient(t, func(cfg *ClientConfig) { cfg.CA = bundle })
	given := map[string][]byte{"key": []byte("value")}
	got, err := c.secrets(Job{Secrets: given})
	if err != nil || string(got["ca"]) != "PEM" || string(got["key"]) != "value" || len(given) != 1 {
		t.Errorf("secrets = %q, %v; the job's %q", got, err, given)
	}
	if got, err = c.secrets(Job{Secrets: map[string][]byte{"ca": []byte("own")}}); err != nil || string(got["ca"]) != "own" {
		t.Errorf("a job's own: %q, %v", got, err)
	}
	c = testClient(t, func(cfg *ClientConfig) { cfg.CA = "/nowhere.pem" })
	if _, err := c.secrets(Job{}); agent.CodeOf(err) != agent.CodeBuilderAway || !strings.Contains(err.Error(), "/nowhere.pem") {
		t.Errorf("error = %v", err)
	}
}
