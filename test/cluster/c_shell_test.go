package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// The sample's image has no shell; its program knows a few commands.

func TestA23ExecRunsACommandInTheApp(t *testing.T) {
	deploy(t, "inner", "page:1", "--env", "GREETING=secret-of-the-app")
	remove(t, "inner")
	t.Run("what is piped in comes out", func(t *testing.T) {
		text := strings.Repeat("a line of text\n", 100_000)
		r := tryInput(t, text, "exec", "inner", "--", "/app", "cat")
		if r.exit != 0 || r.stdout != text || r.stderr != "" {
			t.Errorf("exit %d, %d bytes of %d, %q", r.exit, len(r.stdout), len(text), r.stderr)
		}
	})
	t.Run("the exit code and the two outputs", func(t *testing.T) {
		r := try(t, "exec", "inner", "--", "/app", "exit", "42")
		if r.exit != 42 || r.stdout != "" || r.stderr != "page: leaving with 42\n" {
			t.Errorf("exit %d, %q, %q", r.exit, r.stdout, r.stderr)
		}
		if r := try(t, "exec", "inner", "--", "/app", "reach", "127.0.0.1:8080"); r.exit != 0 {
			t.Errorf("the command does not run inside: exit %d, %s", r.exit, r.stderr)
		}
	})
	t.Run("an instance that is named", func(t *testing.T) {
		instance := show(t, "inner").Instances[0].Name
		if r := tryInput(t, "x", "exec", "inner", "--instance", instance, "--", "/app", "cat"); r.exit != 0 || r.stdout != "x" {
			t.Errorf("exit %d, %q, %s", r.exit, r.stdout, r.stderr)
		}
	})
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no such app":                {[]string{"nothere"}, "there is no app nothere"},
		"no shell in the image":      {[]string{"inner"}, `can't run "sh"`},
		"no such program":            {[]string{"inner", "--", "/bin/nothing"}, `can't run "/bin/nothing"`},
		"no such instance":           {[]string{"inner", "--instance", "inner-0", "--", "/app"}, "no instance inner-0"},
		"no such component":          {[]string{"inner", "--component", "nothing", "--", "/app"}, "no component nothing"},
		"an instance of another app": {[]string{"inner", "--instance", "coredns", "--", "/app"}, "no instance coredns"},
	} {
		t.Run(name, func(t *testing.T) {
			r := try(t, append([]string{"exec"}, tt.args...)...)
			if r.exit != 1 || !strings.Contains(r.stderr, tt.want) || !strings.Contains(r.stderr, "fix: ") {
				t.Errorf("exit %d, %q; want %q with a mend", r.exit, r.stderr, tt.want)
			}
		})
	}
	t.Run("it is recorded, without arguments", func(t *testing.T) {
		try(t, "exec", "inner", "--", "/app", "reach", "canary-of-a23")
		out := hks(t, "activity", "--json")
		if !strings.Contains(out, "opened a shell in inner-staging-") || strings.Contains(out, "canary-of-a23") {
			t.Errorf("the activity list: %s", out)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		hks(t, "app", "stop", "inner")
		eventually(t, time.Minute, func() string {
			if app := show(t, "inner"); app.Status != agent.AppStopped || len(app.Instances) != 0 {
				return fmt.Sprintf("%s, %d instances", app.Status, len(app.Instances))
			}
			return ""
		})
		r := try(t, "exec", "inner", "--", "/app", "cat")
		if r.exit != 1 || !strings.Contains(r.stderr, "the app is stopped") || !strings.Contains(r.stderr, "fix: hks app start inner") {
			t.Errorf("exit %d, %q", r.exit, r.stderr)
		}
	})
}

var forwarded = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func TestA23PortForwardSurvivesARestart(t *testing.T) {
	deploy(t, "inlet", "page:1")
	remove(t, "inlet")
	forward := start(t, "port-forward", "inlet", ":8080", ":9")
	var address [2]string
	for i := range address {
		select {
		case line := <-forward.lines:
			address[i] = forwarded.FindString(line)
		case <-time.After(30 * time.Second):
			t.Fatal("no address is printed")
		}
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	page := func(address string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	before := ""
	for range 5 {
		body, err := page(address[0])
		if err != nil || !strings.Contains(body, "version 1") {
			t.Fatalf("%v %s", err, body)
		}
		before = body
	}
	if body, err := page(address[1]); err == nil {
		t.Errorf("a port nobody listens on answers: %s", body)
	}
	hks(t, "app", "restart", "inlet")
	settled(t, "inlet")
	after, err := page(address[0])
	if err != nil || !strings.Contains(after, "version 1") || after == before {
		t.Errorf("after a restart: %v %s, before: %s", err, after, before)
	}
	if r := try(t, "port-forward", "nothere"); r.exit != 1 || !strings.Contains(r.stderr, "there is no app nothere") {
		t.Errorf("no such app: exit %d, %q", r.exit, r.stderr)
	}
}
