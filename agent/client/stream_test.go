package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func event(id int, subject string) string {
	return fmt.Sprintf("event: app\nid: %d\ndata: {\"id\":%d,\"kind\":\"app\",\"subject\":%q}", id, id, subject)
}

func TestEventsResumeAfterTheLastOneSeen(t *testing.T) {
	var resumed []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get("Last-Event-ID")
		resumed = append(resumed, last)
		switch last {
		case "": // nothing happened yet: only where to resume
			stream(w, "id: 40")
		case "40":
			stream(w, event(41, "a/staging"), ": beat", event(42, "b/staging"))
		case "42":
			stream(w, "event: reset\ndata: {}", event(99, "c/staging"))
		default:
			answerJSON(w, 401, `{"error":{"code":"UNAUTHORIZED","message":"the token was revoked","fix":"log in: hks login URL"}}`)
		}
	})
	var got []string
	var last error
	for e, err := range c.Events(t.Context()) {
		if last = err; err == nil {
			got = append(got, e.Kind+" "+e.Subject)
		}
	}
	if want := []string{"app a/staging", "app b/staging", "reset ", "app c/staging"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if want := []string{"", "40", "42", "99"}; !slices.Equal(resumed, want) {
		t.Errorf("Last-Event-ID %q, want %q", resumed, want)
	}
	e, ok := errors.AsType[*agent.Error](last)
	if !ok || e.Code != agent.CodeUnauthorized || !strings.Contains(e.Fix, "hks login https://127.0.0.1:") {
		t.Errorf("the refusal came out as %#v", last)
	}
}

func progress(step string, done bool) string {
	return fmt.Sprintf("event: progress\ndata: {\"step\":%q,\"done\":%t}", step, done)
}

func TestProgressIsYieldedOnceOverBrokenConnections(t *testing.T) {
	connections := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/apps/web/staging/releases/3/progress" {
			t.Errorf("path %s", r.URL.Path)
		}
		connections++
		all := []string{progress("resolve", false), progress("apply", false), progress("pull", false), progress("done", true), "event: end\ndata: {}"}
		switch connections { // each replays from the start
		case 1:
			stream(w, all[:2]...)
		case 2:
			stream(w, all[:1]...)
		default:
			stream(w, all...)
		}
	})
	var got []string
	for p, err := range c.Progress(t.Context(), "web", agent.Staging, 3) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Step)
	}
	if want := []string{"resolve", "apply", "pull", "done"}; !slices.Equal(got, want) {
		t.Errorf("steps %q, want %q", got, want)
	}
}

func logLine(second int, instance, text string) string {
	at := time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC).Format(time.RFC3339)
	return fmt.Sprintf("event: log\ndata: {\"time\":%q,\"instance\":%q,\"text\":%q}", at, instance, text)
}

func TestA20LogsFollowWithoutRepetition(t *testing.T) {
	var queries []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		if len(queries) == 1 {
			stream(w, logLine(1, "a", "one"), logLine(1, "a", "one more at the same time"), logLine(2, "b", "two"))
			return
		}
		stream(w, logLine(1, "a", "one"), logLine(2, "b", "two"), logLine(3, "a", "three"), logLine(3, "c", "new"), "event: end\ndata: {}")
	})
	var got []string
	for line, err := range c.Logs(t.Context(), "web", agent.Staging, agent.LogQuery{Follow: true, Tail: 10, Since: time.Minute}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line.Text)
	}
	if want := []string{"one", "one more at the same time", "two", "three", "new"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if want := []string{"follow=true&since=1m0s&tail=10", "follow=true&tail=1000"}; !slices.Equal(queries, want) {
		t.Errorf("queries %q, want %q", queries, want)
	}
}

func TestLogsThatBreakOffAreAnError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, logLine(1, "a", "one")) })
	var got []string
	var last error
	for line, err := range c.Logs(t.Context(), "web", agent.Staging, agent.LogQuery{}) {
		got, last = append(got, line.Text), err
	}
	if agent.CodeOf(last) != CodeUnreachable || got[0] != "one" {
		t.Errorf("lines %q, error %v", got, last)
	}
}

func TestStreamFailure(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		stream(w, "event: failure\ndata: {\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"the app is gone\"}}", "event: end\ndata: {}")
	})
	for _, follow := range []bool{false, true} {
		var last error
		for _, err := range c.Logs(t.Context(), "web", agent.Staging, agent.LogQuery{Follow: follow}) {
			last = err
		}
		if agent.CodeOf(last) != agent.CodeNotFound || last.Error() != "the app is gone" {
			t.Errorf("follow %t: %v", follow, last)
		}
	}
}

func TestStreamFirstConnectionIsNotRetried(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) {})
	c.base = "https://127.0.0.1:1"
	n := 0
	for _, err := range c.Events(t.Context()) {
		n++
		if agent.CodeOf(err) != CodeUnreachable {
			t.Errorf("error %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d elements, want the one error", n)
	}
}

func TestStreamGivesUpWhenTheApplianceStaysAway(t *testing.T) {
	var attempts int
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts == 1 {
			stream(w, event(1, "a/staging"))
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	c.retry.patience = 20 * time.Millisecond
	var told int
	c.cfg.OnReconnect = func(error) { told++ }
	var last error
	for _, err := range c.Events(t.Context()) {
		last = err
	}
	if agent.CodeOf(last) != CodeUnreachable || attempts < 3 || told != attempts-1 {
		t.Errorf("after %d attempts, %d told: %v", attempts, told, last)
	}
}

func TestSilentStreamIsTakenUpAgain(t *testing.T) {
	attempts := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if attempts++; attempts == 1 {
			stream(w, event(1, "a/staging"))
			<-r.Context().Done() // no heartbeat, until the client hangs up
			return
		}
		stream(w, event(2, "b/staging"), "event: end\ndata: {}")
	})
	c.retry.idle = 50 * time.Millisecond
	var got []string
	for e, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Subject)
	}
	if want := []string{"a/staging", "b/staging"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStreamEndsWithTheCaller(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		stream(w, event(1, "a/staging"))
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Events(ctx) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("error %v", last)
	}
}
