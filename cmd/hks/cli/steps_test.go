package cli

import (
	"strings"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestStepsAreRedrawnOnATerminal(t *testing.T) {
	var out strings.Builder
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	v := newSteps(&screen{err: &out, errTTY: true, width: 40}, func() time.Time { return now })
	v.add(agent.Progress{Step: "resolve", Message: "looked up web:1"})
	now = now.Add(1500 * time.Millisecond)
	v.add(agent.Progress{Step: "pull", Message: "pulling " + strings.Repeat("x", 80) + "\x1b[2J\nmore"})
	v.finish(failed)
	v.redraw() // too late
	frames := strings.Split(out.String(), "\x1b[1A")
	if len(frames) != 2 {
		t.Fatalf("%d frames: %q", len(frames), out.String())
	}
	last := out.String()[strings.LastIndex(out.String(), "\x1b[2A"):]
	want := "\x1b[2A\r\x1b[2K✓ resolve      1.5s  looked up web:1\n\r\x1b[2K✗ pull         0.0s  pulling xxxxxxxxx…\n"
	if last != want {
		t.Errorf("last frame %q, want %q", last, want)
	}
}

func TestStepsArePlainLinesElsewhere(t *testing.T) {
	var out strings.Builder
	v := newSteps(&screen{err: &out}, time.Now)
	for _, message := range []string{"no room", "no room", "placed"} {
		v.add(agent.Progress{Step: "schedule", Message: message})
	}
	v.finish(succeeded)
	if want := "schedule: no room\nschedule: placed\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestStepsOfJSON(*testing.T) {
	var v *steps // shows nothing
	v.add(agent.Progress{Step: "pull"})
	v.redraw()
	v.finish(succeeded)
}
