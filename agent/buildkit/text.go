package buildkit

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// cutLine returns the first whole line and what follows it. A line longer than
// any that is told ends there.
func cutLine(text []byte) (line, after []byte, found bool) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:], true
	}
	if len(text) > 4*maxLine {
		return text[:4*maxLine], text[4*maxLine:], true
	}
	return nil, text, false
}

// sequences are a terminal's escape sequences: colours, and the like.
var sequences = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

// clean makes one line fit to be shown: what a terminal would show of it, no
// control characters, no secrets, bounded.
func (p *progress) clean(line []byte) string {
	text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "�")
	text = sequences.ReplaceAllString(text, "")
	if i := strings.LastIndexByte(text, '\r'); i >= 0 { // a bar that was drawn over and over
		text = text[i+1:]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text)
	text = p.mask.Replace(text)
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine-len("…")], "") + "…"
	}
	return text
}

// minMasked is the length from which on a secret is masked: what is shorter
// is in every other line by chance.
const minMasked = 6

// newMask makes what hides secrets, each of their lines, in the clear and in
// base64.
func newMask(secrets map[string][]byte) *strings.Replacer {
	forms := map[string]string{} // to what is shown in its place
	hide := func(name, text string) {
		shown := "[secret " + name + "]"
		if before := forms[text]; len(text) >= minMasked && (before == "" || len(shown) < len(before)) { // of two names the short one
			forms[text] = shown
		}
	}
	for name, value := range secrets {
		whole := strings.TrimSpace(string(value))
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			for _, form := range [][]byte{value, []byte(whole), []byte(whole + "\n")} {
				// Without what depends on the text that follows.
				hide(name, strings.TrimRight(encoding.EncodeToString(form), "="))
			}
		}
		for line := range strings.Lines(whole) {
			hide(name, strings.TrimSpace(line))
		}
	}
	// The longest first: a short one may be the beginning of a long one.
	var pairs []string
	for _, form := range slices.SortedFunc(maps.Keys(forms), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) {
		pairs = append(pairs, form, forms[form])
	}
	return strings.NewReplacer(pairs...)
}
