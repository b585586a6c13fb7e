package client

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"hks.dev/hks/agent"
)

func TestSubmitBuildSendsRequestAndSource(t *testing.T) {
	var request, source, target string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		target = r.Method + " " + r.URL.Path
		parts, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		for _, want := range []struct {
			name string
			to   *string
		}{{"request", &request}, {"source", &source}} {
			part, err := parts.NextPart()
			if err != nil || part.FormName() != want.name {
				t.Errorf("part %v, %v, want %s", part, err, want.name)
				return
			}
			data, err := io.ReadAll(part)
			if err != nil {
				t.Error(err)
			}
			*want.to = string(data)
		}
		answerJSON(w, http.StatusAccepted, `{"id":7,"status":"pending"}`)
	})
	var sent int64
	b, err := c.SubmitBuild(t.Context(), "shop", agent.Production, agent.BuildRequest{Test: true, Env: map[string]string{"A": "b"}}, strings.NewReader("a tar"), func(n int64) { sent = n })
	if err != nil || b.ID != 7 || b.Status != agent.RunPending {
		t.Errorf("%+v, %v", b, err)
	}
	if target != "POST /api/apps/shop/production/builds" || strings.TrimSpace(request) != `{"test":true,"env":{"A":"b"}}` || source != "a tar" || sent != int64(len(source)) {
		t.Errorf("%s with %q and %q, %d bytes sent", target, request, source, sent)
	}
}

func TestSubmitBuildFails(t *testing.T) {
	own := agent.Errorf(agent.CodeInvalid, "correct it", "a pattern is not valid")
	tests := map[string]struct {
		source io.Reader
		answer http.HandlerFunc
		code   agent.Code
		says   string
	}{
		"the source, by an error for people": {
			source: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(own)),
			answer: func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
			code:   agent.CodeInvalid, says: "a pattern is not valid",
		},
		"refused at once": {
			source: strings.NewReader(strings.Repeat("x", 4<<20)),
			answer: func(w http.ResponseWriter, _ *http.Request) {
				answerJSON(w, http.StatusTooManyRequests, `{"error":{"code":"TOO_MANY_REQUESTS","message":"20 builds are waiting already","fix":"wait"}}`)
			},
			code: agent.CodeTooMany, says: "waiting already",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := serve(t, test.answer)
			_, err := c.SubmitBuild(t.Context(), "shop", agent.Staging, agent.BuildRequest{}, test.source, nil)
			e, ok := errors.AsType[*agent.Error](err)
			if !ok || e.Code != test.code || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

const (
	lineOne   = "event: line\ndata: {\"kind\":\"note\",\"text\":\"one\"}"
	lineTwo   = "event: line\ndata: {\"kind\":\"note\",\"text\":\"two\"}"
	lineLast  = "event: line\ndata: {\"kind\":\"note\",\"text\":\"last\",\"build\":{\"id\":7,\"status\":\"succeeded\"}}"
	lineAfter = "event: line\ndata: {\"kind\":\"note\",\"text\":\"after\"}"
	theEnd    = "event: end\ndata: {}"
)

func TestBuildLog(t *testing.T) {
	tests := map[string]struct {
		follow bool
		answer [][]string // frames of each connection
		want   []string
		says   string
	}{
		"followed over broken connections": {follow: true, answer: [][]string{{lineOne}, {lineOne, lineTwo}, {lineOne, lineTwo, lineLast, lineAfter}}, want: []string{"one", "two", "last"}},
		"at its end":                       {follow: true, answer: [][]string{{lineOne, theEnd}}, want: []string{"one"}},
		"not followed":                     {answer: [][]string{{lineOne, lineTwo, theEnd}}, want: []string{"one", "two"}},
		"not followed, broken off":         {answer: [][]string{{lineOne}}, want: []string{"one"}, says: "broke off"},
		"another version":                  {follow: true, answer: [][]string{{"event: line\ndata: 7"}}, says: "does not understand"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			connections := 0
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if want := map[bool]string{true: "follow=true", false: "follow=false"}[test.follow]; r.URL.Path != "/api/builds/7/log" || r.URL.RawQuery != want {
					t.Errorf("asked for %s", r.URL)
				}
				stream(w, test.answer[min(connections, len(test.answer)-1)]...)
				connections++
			})
			var got []string
			var last error
			for line, err := range c.BuildLog(t.Context(), 7, test.follow) {
				if last = err; err == nil {
					got = append(got, line.Text)
				}
			}
			if !slices.Equal(got, test.want) || (last == nil) != (test.says == "") || last != nil && !strings.Contains(last.Error(), test.says) {
				t.Errorf("got %q, %v", got, last)
			}
		})
	}
}

func TestBuildsAreAskedFor(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		if r.URL.Path == "/api/builds" {
			answerJSON(w, http.StatusOK, `[{"id":7}]`)
			return
		}
		answerJSON(w, http.StatusOK, `{"id":7,"status":"cancelled"}`)
	})
	for _, of := range []struct {
		app string
		env agent.Environment
	}{{}, {"shop", agent.Staging}, {"", agent.Production}} {
		if builds, err := c.Builds(t.Context(), of.app, of.env); err != nil || len(builds) != 1 {
			t.Errorf("%+v, %v", builds, err)
		}
	}
	if b, err := c.Build(t.Context(), 7); err != nil || b.ID != 7 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := c.CancelBuild(t.Context(), 7); err != nil || b.Status != agent.RunCancelled {
		t.Errorf("%+v, %v", b, err)
	}
	want := []string{"GET /api/builds?", "GET /api/builds?app=shop&environment=staging", "GET /api/builds?environment=production", "GET /api/builds/7", "POST /api/builds/7/cancel"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}
