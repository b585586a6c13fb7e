package cluster

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/test/github"
)

// TestA30PushGoesToStaging connects a double of GitHub and pushes to it.
func TestA30PushGoesToStaging(t *testing.T) {
	double, err := github.New(t.Context(), t.TempDir(), "octo/hello")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	folder := project(t, "hello-go")
	if _, err := double.Push(t.Context(), folder, "first"); err != nil {
		t.Fatal(err)
	}
	const app = "pushed"
	remove(t, app)
	t.Cleanup(func() { // before the double is gone, which it would ask for ever
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), "pipeline", "delete", app, "--yes")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("deleting the pipeline: %v\n%s", err, out)
		}
	})

	if r := tryInput(t, "wrong", "github", "connect", "--api", double.API()); r.exit != 1 || !strings.Contains(r.stderr, "does not accept the token") {
		t.Errorf("A33 a wrong token: exit %d\n%s", r.exit, r.stderr)
	}
	if r := tryInput(t, github.Token, "github", "connect", "--api", double.API(), "--hook-url", appliance.url); r.exit != 0 {
		t.Fatalf("exit %d\n%s", r.exit, r.stderr)
	}
	double.Refuse("/commits/")
	if r := try(t, "pipeline", "create", app, "octo/hello"); r.exit != 1 || !strings.Contains(r.stderr, "Contents: read") {
		t.Errorf("A33 the missing permission: exit %d\n%s", r.exit, r.stderr)
	}
	double.Refuse("")
	hks(t, "pipeline", "create", app, "octo/hello")
	first := ended(t, app, "")
	if first.Status != agent.RunSucceeded || first.Release != 1 {
		t.Fatalf("the first run: %+v, %+v", first, first.Failure)
	}

	t.Run("A31 a push is built, tested and served", func(t *testing.T) {
		change(t, filepath.Join(folder, "internal", "greeting", "greeting.go"), "package greeting", "// Package greeting was pushed.\npackage greeting")
		begin := time.Now()
		sha, err := double.Push(t.Context(), folder, "second $(reboot)")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func() string {
			if runs := ask[[]agent.Run](t, "pipeline", "runs", app); runs[0].Commit.SHA != sha || runs[0].Status == agent.RunPending {
				return "not begun"
			}
			return ""
		})
		t.Logf("push -> first step in %s", time.Since(begin).Round(10*time.Millisecond))
		r := ended(t, app, sha)
		t.Logf("push -> staging live in %s", time.Since(begin).Round(10*time.Millisecond))
		if r.Status != agent.RunSucceeded || r.Trigger != "webhook" || show(t, app).Release != r.Release {
			t.Errorf("%+v, %+v", r, r.Failure)
		}
		eventually(t, 10*time.Second, func() string {
			all := double.Statuses()
			if last := all[len(all)-1]; last.SHA != sha || last.State != "success" {
				return "the last status is " + last.State
			}
			return ""
		})
	})
	t.Run("A32 a failing test leaves staging", func(t *testing.T) {
		before := show(t, app).Release
		write(t, filepath.Join(folder, "internal", "greeting", "broken_test.go"), "package greeting\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { t.Fatal(\"broken on purpose\") }\n")
		sha, err := double.Push(t.Context(), folder, "third")
		if err != nil {
			t.Fatal(err)
		}
		r := ended(t, app, sha)
		if r.Status != agent.RunFailed || show(t, app).Release != before {
			t.Errorf("%+v", r)
		}
		if logs := try(t, "pipeline", "logs", itoa(r.ID)); !strings.Contains(logs.stdout+logs.stderr, "broken on purpose") {
			t.Errorf("the output is not at hand:\n%s%s", logs.stdout, logs.stderr)
		}
	})
	t.Run("A36 what is not GitHub's starts nothing", func(t *testing.T) {
		url, secret := double.Hook()
		runs := len(ask[[]agent.Run](t, "pipeline", "runs", app))
		body := double.Payload(first.Commit.SHA)
		large := make([]byte, 26<<20)
		for _, tt := range []struct {
			delivery, signature string
			body                []byte
			status              int
			outcome             string
		}{
			{"forged", github.Sign(body, "guess"), body, http.StatusForbidden, "forged"},
			{"unsigned", "", body, http.StatusForbidden, "forged"},
			{"tampered", github.Sign(body, secret), append([]byte(" "), body...), http.StatusForbidden, "forged"},
			{"large", github.Sign(large, secret), large, http.StatusRequestEntityTooLarge, "oversized"},
			{"once", github.Sign(body, secret), body, http.StatusAccepted, "accepted"},
			{"once", github.Sign(body, secret), body, http.StatusAccepted, "duplicate"},
		} {
			code, err := github.Send(t.Context(), url, tt.delivery, tt.signature, tt.body)
			if tt.outcome != "oversized" && err != nil || err == nil && code != tt.status { // the connection may end while the large one is sent
				t.Errorf("%s: %d, %v", tt.delivery, code, err)
			}
			if ledger := ask[[]agent.Delivery](t, "pipeline", "deliveries", app); ledger[0].ID != tt.delivery || ledger[0].Outcome != tt.outcome {
				t.Errorf("%s: the ledger has %+v", tt.delivery, ledger[0])
			}
		}
		if now := len(ask[[]agent.Run](t, "pipeline", "runs", app)); now != runs {
			t.Errorf("%d runs became %d", runs, now)
		}
	})
	t.Run("A38 the agent dies in mid-run", func(t *testing.T) {
		run := ask[agent.Run](t, "pipeline", "rerun", itoa(first.ID))
		kill(t, "agent")
		up(t)
		eventually(t, 2*time.Minute, func() string {
			runs := ask[[]agent.Run](t, "pipeline", "runs", app)
			if runs[0].ID != run.ID || !runs[0].Status.Done() {
				return string(runs[0].Status)
			}
			if runs[0].Status != agent.RunSucceeded {
				t.Errorf("it has ended as %+v, %+v", runs[0], runs[0].Failure)
			}
			return ""
		})
	})
}

// ended waits for the run of a commit, or for the newest, to end.
func ended(t *testing.T, app, sha string) agent.Run {
	t.Helper()
	var last agent.Run
	eventually(t, 3*time.Minute, func() string {
		runs := ask[[]agent.Run](t, "pipeline", "runs", app)
		if len(runs) == 0 || sha != "" && runs[0].Commit.SHA != sha || !runs[0].Status.Done() {
			return "the run has not ended"
		}
		last = runs[0]
		return ""
	})
	return last
}
