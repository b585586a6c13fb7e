package cluster

import (
	"context"
	"encoding/base64"
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

	if r := tryInput(t, canary, "pipeline", "set", app, "--secret", "CANARY"); r.exit != 0 || strings.Contains(r.stdout, canary) {
		t.Fatalf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	hks(t, "pipeline", "edit", app, "--reports", "reports", "--pull-requests")
	double.Refuse("/deployments")
	if r := try(t, "github", "check", "octo/hello"); r.exit != 1 || !strings.Contains(r.stderr, "Deployments: read and write") {
		t.Errorf("A33 the permission that is missing: exit %d\n%s", r.exit, r.stderr)
	}
	double.Refuse("")

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
		write(t, filepath.Join(folder, "internal", "greeting", "broken_test.go"), brokenTest)
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
		} else if out := logs.stdout + logs.stderr; strings.Contains(out, canary) || strings.Contains(out, base64.StdEncoding.EncodeToString([]byte(canary))) || !strings.Contains(out, "CANARY=[secret CANARY]") {
			t.Errorf("the secret is in the log, or was not there:\n%s", out)
		}
		if tests := ask[[]agent.TestCase](t, "pipeline", "tests", itoa(r.ID)); len(tests) != 1 || tests[0].Outcome != agent.TestFailed || tests[0].Name != "reported" {
			t.Errorf("the tests by their report: %+v", tests)
		}
		if all := double.Deployments(); len(all) != 2 || all[0].Environment != "staging" || all[0].States[len(all[0].States)-1] != "success" {
			t.Errorf("deployments at GitHub: %+v", all)
		}
	})
	t.Run("A40 a fork gets no secret and no deploy", func(t *testing.T) {
		before, apps := show(t, app).Release, len(ask[[]agent.App](t, "app", "list"))
		write(t, filepath.Join(folder, "internal", "greeting", "broken_test.go"), strings.ReplaceAll(brokenTest, `t.Fatal("broken on purpose")`, `if given != "" { t.Fatal("a fork was given the secret") }`))
		sha, err := double.OpenPull(t.Context(), 7, "stranger/hello", folder, "give me your secrets")
		if err != nil {
			t.Fatal(err)
		}
		if code, err := double.SendEvent(t.Context(), "pull_request", double.Payload(sha)); err != nil || code != http.StatusAccepted {
			t.Fatalf("the webhook: %d %v", code, err)
		}
		var waiting agent.Run
		eventually(t, 40*time.Second, func() string {
			if waiting = ask[[]agent.Run](t, "pipeline", "runs", app)[0]; waiting.Commit.SHA != sha || !waiting.Waits() {
				return "it does not wait for approval"
			}
			return ""
		})
		hks(t, "pipeline", "approve", itoa(waiting.ID))
		r := ended(t, app, sha)
		if r.Status != agent.RunSucceeded || r.Release != 0 || show(t, app).Release != before || len(ask[[]agent.App](t, "app", "list")) != apps {
			t.Errorf("%+v, %+v", r, r.Failure)
		}
		if logs := try(t, "pipeline", "logs", itoa(r.ID)); strings.Contains(logs.stdout, "CANARY=***") || !strings.Contains(logs.stdout+logs.stderr, "image is thrown away") {
			t.Errorf("what it was given:\n%s%s", logs.stdout, logs.stderr)
		}
		double.ClosePull(7)
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

// canary is a secret that a test gives away.
const canary = "c4n4ry-of-the-pipeline"

// brokenTest fails, prints what it was given, and leaves a report.
const brokenTest = `package greeting

import (
	"encoding/base64"
	"os"
	"testing"
)

func TestBroken(t *testing.T) {
	given := os.Getenv("CANARY")
	t.Log("CANARY=" + given)
	t.Log(base64.StdEncoding.EncodeToString([]byte(given)))
	if err := os.WriteFile("/src/reports/junit.xml", []byte("<testsuite name='greeting'><testcase name='reported' time='0.5'><failure message='broken'/></testcase></testsuite>"), 0o600); err != nil {
		t.Error(err)
	}
	t.Fatal("broken on purpose")
}
`

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
