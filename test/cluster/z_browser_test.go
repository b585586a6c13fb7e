package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestBrowser begins with a new appliance, since a set-up link works once, and
// drives set-up, log-in, dashboard and app page in a real browser.
func TestBrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if out, err := installer(ctx, "purge", "--yes"); err != nil {
		t.Fatalf("purge: %v\n%s", err, out)
	}
	// The sandbox mounts these folders, so they may stay, but empty.
	for _, name := range []string{"/var/lib/hks", "/var/lib/rancher", "/etc/hks", "/etc/rancher"} {
		if left, err := os.ReadDir(name); err == nil && len(left) > 0 {
			t.Errorf("purge left %v in %s", left, name)
		}
	}
	if err := bringUp(ctx); err != nil {
		t.Fatalf("bringing a new appliance up: %v", err)
	}
	if err := loadImages(ctx); err != nil {
		t.Fatalf("loading images: %v", err)
	}
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec")
	cmd.Dir = filepath.Join("..", "browser")
	cmd.Env = append(os.Environ(), "HKS_SETUP_URL="+appliance.setupLink, "HKS_URL="+appliance.url,
		"HKS_IMAGE=page:1", "HKS_IMAGE_2=page:2", "HKS_PASSWORD="+password, "HKS_FINGERPRINT="+appliance.fingerprint)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		t.Errorf("browser tests: %v", err)
	}
}
