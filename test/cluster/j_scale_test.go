package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// An app that burns CPU under load gets more instances by itself, keeps them
// through a release, and goes back to one when told so; no request is lost.
func TestA19AutoscaleFollowsTheLoad(t *testing.T) {
	quiet(t)
	url := deploy(t, "burner", "page:1", "--cpu", "200m")
	remove(t, "burner")
	out := hks(t, "scale", "burner", "--min", "1", "--max", "3", "--cpu", "70")
	if !strings.Contains(out, "burner/staging is scaled to 1 to 3 instances at 70 % CPU") {
		t.Errorf("it said %q", out)
	}
	ours, err := kubectl(t, "get", "deployment", "burner-staging", "-n", workspace, "--show-managed-fields",
		"-o", `jsonpath={range .metadata.managedFields[?(@.manager=="hks")]}{.operation} {.fieldsV1}{end}`)
	if err != nil || !strings.Contains(ours, "f:template") || strings.Contains(ours, "f:replicas") {
		t.Errorf("hks applies the number of instances: %s, %v", ours, err)
	}

	// The cluster must have measured it once; a shorter burst would be over.
	eventually(t, 3*time.Minute, func() string {
		if a := show(t, "burner").Components[0].Autoscale; a == nil || a.Now == nil {
			return fmt.Sprintf("the CPU is not measured yet: %+v", a)
		}
		return ""
	})
	load := startLoadOf(t, url+"/spin", "0")
	began := time.Now()
	eventually(t, 110*time.Second, func() string {
		app := show(t, "burner")
		if app.Ready < 2 || app.Replicas < 2 {
			return fmt.Sprintf("%s, %d of %d ready, %+v", app.Status, app.Ready, app.Replicas, app.Components[0].Autoscale)
		}
		return ""
	})
	t.Logf("two instances were ready after %s", time.Since(began).Round(time.Second))
	noneLost(t, load)
	app := show(t, "burner")
	if a := app.Components[0].Autoscale; a == nil || a.Min != 1 || a.Max != 3 || a.CPU != 70 || a.Now == nil {
		t.Errorf("shown as %+v", a)
	}

	// A release rolls out as many as the load has brought.
	load = startLoad(t, url)
	hks(t, "deploy", "--name", "burner", "--image", "page:2", "--port", "8080")
	if app := show(t, "burner"); app.Replicas < 2 || app.Release != 2 || app.Components[0].Autoscale == nil {
		t.Errorf("after a release: release %d, %d instances, %+v", app.Release, app.Replicas, app.Components[0].Autoscale)
	}
	hks(t, "scale", "burner", "1")
	settled(t, "burner")
	noneLost(t, load)
	if app := show(t, "burner"); app.Replicas != 1 || app.Components[0].Autoscale != nil {
		t.Errorf("after scaling back: %d instances, %+v", app.Replicas, app.Components[0].Autoscale)
	}
	if left, err := kubectl(t, "get", "horizontalpodautoscalers", "-n", workspace, "-o", "name"); err != nil || strings.TrimSpace(left) != "" {
		t.Errorf("left: %s, %v", left, err)
	}

	r := try(t, "scale", "burner", "--max", "99")
	if r.exit != 1 || !strings.Contains(r.stderr, "99 instances") || !strings.Contains(r.stderr, "fix: ") {
		t.Errorf("more than there is room for: exit %d, %s", r.exit, r.stderr)
	}

	// Stopped, it stays so; started, it begins at the least.
	hks(t, "scale", "burner", "--min", "2", "--max", "3")
	settled(t, "burner")
	hks(t, "app", "stop", "burner")
	if app := show(t, "burner"); app.Status != agent.AppStopped {
		t.Errorf("it is %s", app.Status)
	}
	hks(t, "app", "start", "burner")
	if app := show(t, "burner"); app.Ready != 2 {
		t.Errorf("%d of %d are ready", app.Ready, app.Replicas)
	}
}

// noneLost ends a load and fails when a request of it did.
func noneLost(t *testing.T, load *load) {
	t.Helper()
	sent, failed := load.stop()
	t.Logf("%d requests, %d failed", sent, len(failed))
	if len(failed) > 0 || sent < 20 {
		t.Errorf("%d requests, %d failed: %s", sent, len(failed), strings.Join(failed[:min(len(failed), 5)], "; "))
	}
}
