package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"hks.dev/hks/agent"
)

// steps shows progress: a redrawn list on a terminal, plain lines elsewhere.
// A nil *steps shows nothing.
type steps struct {
	screen *screen
	now    func() time.Time
	list   []step
	drawn  int // lines on the terminal that redraw replaces
	ended  ending
}

// ending says how the watching ended; the last step is marked with it.
type ending int

const (
	goesOn ending = iota
	succeeded
	failed
	left // the steps go on unwatched
)

type step struct {
	name    string
	message string
	began   time.Time
	took    time.Duration // once the next has begun
}

func newSteps(s *screen, now func() time.Time) *steps { return &steps{screen: s, now: now} }

// add takes one observation. A step keeps its last message only.
func (v *steps) add(p agent.Progress) {
	if v == nil {
		return
	}
	if !v.screen.errTTY {
		v.plain(p)
		return
	}
	now := v.now()
	if n := len(v.list); n > 0 && v.list[n-1].name == p.Step {
		v.list[n-1].message = p.Message
	} else {
		if n > 0 {
			v.list[n-1].took = max(now.Sub(v.list[n-1].began), time.Nanosecond)
		}
		v.list = append(v.list, step{name: p.Step, message: p.Message, began: now})
	}
	v.redraw()
}

// plain writes a line, unless it would be the same again.
func (v *steps) plain(p agent.Progress) {
	if n := len(v.list); n > 0 && v.list[n-1].name == p.Step && v.list[n-1].message == p.Message {
		return
	}
	v.list = append(v.list, step{name: p.Step, message: p.Message})
	v.screen.note("%s: %s", clean(p.Step), oneLine(p.Message))
}

// finish marks the last step and leaves the list as it is.
func (v *steps) finish(how ending) {
	if v == nil || v.ended != goesOn {
		return
	}
	v.ended = how
	v.draw()
}

// redraw shows the list anew with the time that the last step takes.
func (v *steps) redraw() {
	if v == nil || v.ended != goesOn {
		return
	}
	v.draw()
}

func (v *steps) draw() {
	if !v.screen.errTTY || len(v.list) == 0 {
		return
	}
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for i, st := range v.list {
		b.WriteString("\r\x1b[2K")
		b.WriteString(v.line(st, i == len(v.list)-1))
		b.WriteByte('\n')
	}
	v.drawn = len(v.list)
	fmt.Fprint(v.screen.err, b.String())
}

var spinner = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (v *steps) line(st step, last bool) string {
	style, now := v.screen.errStyle, v.now()
	mark, took := style.green("✓"), st.took
	if last {
		took = now.Sub(st.began)
		switch v.ended {
		case failed:
			mark = style.red("✗")
		case left:
			mark = style.yellow("…")
		case goesOn:
			mark = style.cyan(spinner[int(now.UnixMilli()/100)%len(spinner)])
		}
	}
	head := fmt.Sprintf("%-9s %6.1fs  ", fit(clean(st.name), 9), took.Seconds())
	// all of it must fit one line, or redrawing breaks
	return mark + " " + style.dim(head) + fit(oneLine(st.message), v.screen.width-3-utf8.RuneCountInString(head))
}

// oneLine keeps a text on one line and free of control characters.
func oneLine(text string) string {
	return strings.Join(strings.Fields(stripSGR(clean(text))), " ")
}

// fit cuts a text to width, and says so.
func fit(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
