package cli

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// style colours text where colours are on.
type style struct{ on bool }

func (s style) sgr(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.sgr("1", t) }
func (s style) dim(t string) string    { return s.sgr("2", t) }
func (s style) red(t string) string    { return s.sgr("31", t) }
func (s style) green(t string) string  { return s.sgr("32", t) }
func (s style) yellow(t string) string { return s.sgr("33", t) }
func (s style) cyan(t string) string   { return s.sgr("36", t) }

// status colours one word that says how a thing is.
func (s style) status(word string) string {
	switch word {
	case "running", "ready", "succeeded", "healthy", "info", "valid", "resolved", "sent":
		return s.green(word)
	case "pending", "acknowledged", "deploying", "updating", "stopping", "deleting", "creating", "renaming", "pulling", "starting", "warning", "checking", "waiting", "asking", "making", "growing", "restoring", "kept":
		return s.yellow(word)
	case "error", "failed", "crashed", "unhealthy", "critical", "open":
		return s.red(word)
	}
	return s.dim(word)
}

// instanceColours tell instances apart in logs.
var instanceColours = [...]string{"36", "33", "35", "32", "34", "96", "93", "95", "92", "94"}

func (s style) nth(n int, text string) string {
	return s.sgr(instanceColours[n%len(instanceColours)], text)
}

// clean takes control characters out of text that others wrote, so that it
// can't steer the terminal. Colours (SGR sequences) and tabs stay.
func clean(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		if n := sgrLength(text); n > 0 {
			b.WriteString(text[:n])
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && (r != utf8.RuneError || n > 1) {
			b.WriteRune(r)
		}
		text = text[n:]
	}
	return b.String()
}

// sgrLength is the length of the SGR sequence that text begins with, else 0.
func sgrLength(text string) int {
	rest, ok := strings.CutPrefix(text, "\x1b[")
	if !ok {
		return 0
	}
	parameters := strings.TrimLeft(rest, "0123456789;")
	if !strings.HasPrefix(parameters, "m") {
		return 0
	}
	return len(text) - len(parameters) + 1
}

// stripSGR removes colours.
func stripSGR(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		if n := sgrLength(text); n > 0 {
			text = text[n:]
			continue
		}
		b.WriteByte(text[0])
		text = text[1:]
	}
	return b.String()
}
