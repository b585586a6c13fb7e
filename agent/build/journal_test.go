package build

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestTwoReadersFollowOneLog(t *testing.T) {
	b := newBench(t)
	b.submit("shop", agent.BuildRequest{}, shopFiles...)
	<-b.builder.begun
	read := make(chan []agent.BuildLine)
	joined := make(chan struct{}, 2)
	for range 2 {
		go func() { // ends with the log
			var got []agent.BuildLine
			for line, err := range b.m.Logs(t.Context(), 1, true) {
				if err != nil {
					break // too few lines are told below
				}
				if got = append(got, line); len(got) == 1 {
					joined <- struct{}{}
				}
			}
			read <- got
		}()
	}
	<-joined
	<-joined
	b.builder.letGo()
	first, second := <-read, <-read
	_, again := b.end(1)
	same := func(a, b agent.BuildLine) bool {
		return a.Time.Equal(b.Time) && a.Kind == b.Kind && a.Component == b.Component && a.Step == b.Step && a.Text == b.Text && (a.Build == nil) == (b.Build == nil)
	}
	if !slices.EqualFunc(first, second, same) || !slices.EqualFunc(first, again, same) || len(first) < 8 {
		t.Errorf("three readers got %d, %d and %d lines:\n%+v\n%+v", len(first), len(second), len(again), first, second)
	}
	for _, line := range first {
		if line.Time.IsZero() || line.Kind == "" {
			t.Errorf("a line without time or kind: %+v", line)
		}
	}
}

func TestALogIsReadAgainByAnotherAgent(t *testing.T) {
	b := newBench(t)
	b.builder.letGo()
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	_, before := b.end(1)
	b.stop()
	b.start()
	_, after := b.end(1)
	if len(after) != len(before) {
		t.Errorf("%d lines, were %d", len(after), len(before))
	}
	var some []agent.BuildLine
	for line := range b.m.Logs(t.Context(), 1, true) { // a reader that has enough
		some = append(some, line)
		break
	}
	if len(some) != 1 {
		t.Errorf("got %+v", some)
	}
}

func TestALogOfABuildUnderWay(t *testing.T) {
	b := newBench(t)
	b.submit("shop", agent.BuildRequest{}, page, "<h1>")
	<-b.builder.begun
	var kinds []string
	for line, err := range b.m.Logs(t.Context(), 1, false) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, line.Kind)
	}
	if len(kinds) == 0 || kinds[len(kinds)-1] != "started" {
		t.Errorf("without following: %q", kinds)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for line, err := range b.m.Logs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Kind == "started" {
			cancel() // the loop ends all the same
		}
	}
	for _, err := range b.m.Logs(t.Context(), 9, true) {
		if agent.CodeOf(err) != agent.CodeNotFound {
			t.Errorf("no such build: %v", err)
		}
	}
}

func TestAJournalIsBoundedButTellsTheEnd(t *testing.T) {
	j := &journal{path: filepath.Join(t.TempDir(), "log"), now: time.Now, size: -1, changed: make(chan struct{})}
	j.note("first")
	j.size = maxLog
	j.note("too much")
	changed := j.waits()
	j.end(agent.Build{ID: 1, Status: agent.RunCancelled})
	select {
	case <-changed:
	default:
		t.Error("who waits was not told")
	}
	if j.waits() != nil {
		t.Error("there is something to wait for after the end")
	}
	j.note("after the end")
	var got []string
	last, err := (&lines{path: j.path}).read(func(line agent.BuildLine, err error) bool {
		got = append(got, line.Text)
		return err == nil
	})
	if want := []string{"first", "the build was cancelled"}; !slices.Equal(got, want) || !last || err != nil {
		t.Errorf("got %q, %v, %v", got, last, err)
	}
}

func TestALineAfterACrashIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, text := range []string{"one", "two", "three"} { // each a process of its own
		j := &journal{path: path, now: time.Now, size: -1, changed: make(chan struct{})}
		j.note(text)
		if err := j.write([]byte(`{"kind":"note","text":"cut`), false); err != nil {
			t.Fatal(err)
		}
	}
	from := lines{path: path}
	var got []string
	read := func() {
		t.Helper()
		if last, err := from.read(func(line agent.BuildLine, _ error) bool { got = append(got, line.Text); return true }); last || err != nil {
			t.Errorf("%v, %v", last, err)
		}
	}
	read()
	if strings.Join(got, " ") != "one two three" {
		t.Errorf("got %q", got)
	}
	(&journal{path: path, now: time.Now, size: -1, changed: make(chan struct{})}).note("four")
	read()
	if strings.Join(got, " ") != "one two three four" {
		t.Errorf("read on: %q", got)
	}
	if _, err := (&lines{path: filepath.Join(path, "no folder")}).read(nil); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a log that can't be opened: %v", err)
	}
}
