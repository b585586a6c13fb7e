package buildkit

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
)

// told are events in a few words.
func told(secrets map[string][]byte, statuses ...*client.SolveStatus) ([]string, *progress) {
	var lines []string
	p := newProgress(secrets, func(e Event) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", e.Kind, e.Step, e.Name, e.Text)))
	})
	for _, status := range statuses {
		p.take(status)
	}
	p.flush()
	return lines, p
}

func vertexes(all ...*client.Vertex) *client.SolveStatus { return &client.SolveStatus{Vertexes: all} }

func output(step, text string) *client.SolveStatus {
	return &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "sha256:a", Stream: 1, Data: []byte(text), Timestamp: time.Now()}}}
}

func TestProgressTellsEachStepOnce(t *testing.T) {
	start, end := time.Unix(10, 0), time.Unix(12, 0)
	begun := &client.Vertex{Digest: "sha256:a", Name: "[1/2] RUN make", Started: &start}
	done := &client.Vertex{Digest: "sha256:a", Name: "[1/2] RUN make", Started: &start, Completed: &end}
	cached := &client.Vertex{Digest: "sha256:b", Name: "[2/2] RUN test", Started: &start, Completed: &end, Cached: true}
	failed := &client.Vertex{Digest: "sha256:c", Name: "[3/3] RUN ship", Started: &start, Completed: &end, Error: "process \"/bin/sh\" did not complete: exit code: 2\nmore"}
	got, p := told(nil, vertexes(begun), output("a", "one\ntw"), output("a", "o\nthree"), vertexes(begun), vertexes(done, cached), vertexes(done, cached), vertexes(failed))
	want := []string{
		"started 1 [1/2] RUN make",
		"log 1 [1/2] RUN make one", "log 1 [1/2] RUN make two", "log 1 [1/2] RUN make three",
		"done 1 [1/2] RUN make", "cached 2 [2/2] RUN test",
		"started 3 [3/3] RUN ship", `failed 3 [3/3] RUN ship process "/bin/sh" did not complete: exit code: 2 more`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := p.failed(""); s == nil || s.number != 3 {
		t.Errorf("the step that failed = %+v", s)
	}
}

func TestProgressKeepsTheLastLines(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintln(&text, i)
	}
	_, p := told(nil, output("a", text.String()))
	if lines := p.order[0].lines; len(lines) != keptLines || lines[keptLines-1] != "99" {
		t.Errorf("kept %q", lines)
	}
}

func TestProgressBoundsALineWithoutEnd(t *testing.T) {
	lines := 0
	p := newProgress(nil, func(e Event) {
		if lines++; len(e.Text) > maxLine {
			t.Errorf("a line of %d bytes", len(e.Text))
		}
	})
	for range 100 {
		p.take(output("a", strings.Repeat("x", 1000)))
		if kept := len(p.order[0].open[1]); kept > 5*maxLine {
			t.Fatalf("%d bytes are kept for a line", kept)
		}
	}
	if lines == 0 {
		t.Error("nothing was told")
	}
}

func TestClean(t *testing.T) {
	secret := "s3cret-value"
	p := newProgress(map[string][]byte{"key": []byte(secret + "\n"), "lines": []byte("first line\nsecond line\n"), "pin": []byte("1")}, nil)
	tests := map[string]struct{ line, want string }{
		"plain":             {"added 12 packages", "added 12 packages"},
		"colours":           {"\x1b[1;31merror\x1b[0m: no", "error: no"},
		"title":             {"\x1b]0;title\x07text", "text"},
		"bar":               {" 10 %\r 50 %\r100 %\r", "100 %"},
		"control":           {"a\x00b\x08c\td\u202ee", "abc de"},
		"not UTF-8":         {"a\xffb", "a�b"},
		"secret":            {"key is " + secret + "!", "key is [secret key]!"},
		"secret in base64":  {base64.StdEncoding.EncodeToString([]byte(secret)), "[secret key]"},
		"secret's line":     {"> second line", "> [secret lines]"},
		"secret too short":  {"1 + 1", "1 + 1"},
		"secret with paint": {"s3cret\x1b[0m-value", "[secret key]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := p.clean([]byte(tt.line)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	long := p.clean([]byte(strings.Repeat("ä", maxLine)))
	if len(long) > maxLine || !strings.HasSuffix(long, "ä…") {
		t.Errorf("a long line: %d bytes, ends in %q", len(long), long[len(long)-6:])
	}
}
