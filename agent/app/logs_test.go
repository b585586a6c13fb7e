package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hks.dev/hks/agent"
)

func TestA20Lines(t *testing.T) {
	long := strings.Repeat("x", maxLineBytes+100)
	tests := map[string]struct {
		in   string
		want []string
	}{
		"none":         {"", nil},
		"plain":        {"a\nb\n", []string{"a", "b"}},
		"no last end":  {"a\nb", []string{"a", "b"}},
		"windows":      {"a\r\n", []string{"a"}},
		"empty lines":  {"a\n\nb\n", []string{"a", "", "b"}},
		"too long":     {long + "\nb\n", []string{long[:maxLineBytes] + "…", "b"}},
		"not UTF-8":    {"a\xffb\n", []string{"a\uFFFDb"}},
		"long, no end": {long, []string{long[:maxLineBytes] + "…"}},
	}
	for name, tt := range tests {
		var got []string
		if err := eachLine(strings.NewReader(tt.in), func(s string) bool { got = append(got, s); return true }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d lines", name, len(got))
		}
	}
}

func TestA20TimeOfALine(t *testing.T) {
	line := parseLine("p", "2026-07-01T12:00:00.000000005Z hello there")
	if !line.Time.Equal(noon.Add(5)) || line.Text != "hello there" || line.Instance != "p" {
		t.Errorf("%+v", line)
	}
	if line := parseLine("p", "2026-07-01T12:00:00Z"); line.Text != "" || !line.Time.Equal(noon) {
		t.Errorf("empty line: %+v", line)
	}
	if line := parseLine("p", "no stamp"); line.Text != "no stamp" || !line.Time.IsZero() {
		t.Errorf("no stamp: %+v", line)
	}
}

func TestA20LogsOfAllInstancesAndOfAFailedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(agent.Deploy{Change: []agent.Component{{Image: "web:1", Port: 8080}}, Replicas: map[string]agent.Scale{"app": agent.Fixed(2)}})
		read := func(q agent.LogQuery) []agent.LogLine {
			t.Helper()
			var lines []agent.LogLine
			for line, err := range w.m.Logs(t.Context(), "web", agent.Staging, q) {
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, line)
			}
			return lines
		}
		if lines := read(agent.LogQuery{}); len(lines) != 2 || lines[0].Instance == lines[1].Instance {
			t.Errorf("lines: %+v", lines)
		}
		if lines := read(agent.LogQuery{Previous: true}); len(lines) != 0 {
			t.Errorf("previous without a crash: %+v", lines)
		}
		w.deploy(spec("web:2"))
		w.pod("web-staging-2-0", crashed(1, 2))
		w.dropPods()
		if lines := read(agent.LogQuery{Previous: true}); len(lines) != 1 || lines[0].Instance != "web-staging-2" {
			t.Errorf("kept lines of the failed release: %+v", lines)
		}
		for _, err := range w.m.Logs(t.Context(), "none", agent.Staging, agent.LogQuery{}) {
			if agent.CodeOf(err) != agent.CodeNotFound {
				t.Errorf("logs of no app: %v", err)
			}
		}
	})
}

func TestA20FollowPicksUpNewInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deployed(spec("web:1"))
		ctx, cancel := context.WithCancel(t.Context())
		seen := make(chan string, 100)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for line, err := range w.m.Logs(ctx, "web", agent.Staging, agent.LogQuery{Follow: true}) {
				if err == nil {
					seen <- line.Instance
				}
			}
		}()
		settle()
		w.pod("web-staging-1-new", ready)
		time.Sleep(3 * time.Second)
		settle()
		cancel()
		<-ended
		close(seen)
		instances := map[string]bool{}
		for name := range seen {
			instances[name] = true
		}
		if !instances["web-staging-1-0"] || !instances["web-staging-1-new"] {
			t.Errorf("instances: %v", instances)
		}
	})
}
