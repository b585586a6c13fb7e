package slack

import (
	"strings"
	"unicode"
	"unicode/utf16"
)

// units counts a text as Slack does at its strictest: in UTF-16 units.
func units(text string) int {
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// mostRead is how much of any text is looked at, bytes: more never fits.
const mostRead = 4 << 10

// clean takes out of a text of others what no screen shows: control codes,
// colours of terminals, marks that turn the direction of reading.
func clean(text string) string {
	if len(text) > mostRead {
		text = text[:mostRead]
	}
	var b strings.Builder
	b.Grow(len(text))
	const (
		text0 = iota
		escape
		sequence
	)
	state := text0
	for _, r := range strings.ToValidUTF8(text, "�") {
		switch {
		case state == escape && r == '[':
			state = sequence
			continue
		case state == escape:
			state = text0
		case state == sequence:
			if r >= '@' && r <= '~' {
				state = text0
			}
			continue
		}
		switch {
		case r >= ' ' && r < '\x7f':
			b.WriteByte(byte(r))
		case r == '\x1b':
			state = escape
		case r == '\n':
			b.WriteRune(r)
		case r == '\t' || r == '\r' || unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// line makes one line of a text of others.
func line(text string) string { return strings.Join(strings.Fields(clean(text)), " ") }

// entities are what Slack's markup wants written otherwise; nothing else
// makes a mention, a link or a command of it.
var entities = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;"}

// markup writes a text for a field of markup, at most so many units long; no
// entity is cut in two.
func markup(text string, most int) string {
	var b strings.Builder
	n, keep := 0, 0 // keep: bytes that leave room for the mark of a cut
	for _, r := range text {
		piece, ok := entities[r]
		if !ok {
			piece = string(r)
		}
		n += units(piece)
		if n > most {
			return b.String()[:keep] + cutMark(most)
		}
		b.WriteString(piece)
		if n <= most-1 {
			keep = b.Len()
		}
	}
	return b.String()
}

// cut shortens a plain text to a number of units.
func cut(text string, most int) string {
	n, keep := 0, 0
	for i, r := range text {
		n += utf16.RuneLen(r)
		if n > most {
			return text[:keep] + cutMark(most)
		}
		if n <= most-1 {
			keep = i + len(string(r))
		}
	}
	return text
}

func cutMark(most int) string {
	if most < 1 {
		return ""
	}
	return "…"
}

// code writes a text between fences, in which a fence of others would end it.
func code(text string, most int) string {
	const fence = "```"
	return fence + markup(strings.ReplaceAll(text, "`", "'"), most-2*len(fence)) + fence
}
