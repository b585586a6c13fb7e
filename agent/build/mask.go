package build

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"hks.dev/hks/agent"
)

const (
	shortestSecret = 4 // bytes of a value that is masked: a shorter one would mask half of the log
	longestSecret  = 64 << 10
	shortestPart   = 8    // bytes of a value's begin or end that are masked at the end or the begin of a line
	longestSplit   = 1024 // lines over which a value may lie
	masked         = "***"
)

// mask takes the secrets of a build out of what it prints: their values and
// the forms that tools print them in (base64 at each of its three offsets, hex,
// quoted, in a URL). A value that is split over lines is known by its begin
// at the end of one line, its middle as a line of its own, and its end at the
// begin of the next. It is used by one goroutine at a time.
type mask struct {
	whole   *strings.Replacer
	forms   []string // all of them, for parts
	pending string   // what the last line ended with of a form
	lines   int      // over which that lies
}

// newMask returns nil where there is nothing to mask.
func newMask(secrets map[string]string) *mask {
	var forms []string
	add := func(form string) {
		if len(form) >= shortestSecret && len(form) <= longestSecret && !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	for _, value := range secrets {
		value = strings.TrimRight(value, "\r\n")
		if len(value) < shortestSecret {
			continue
		}
		add(value)
		for line := range strings.Lines(value) { // of a key in PEM
			if line = strings.TrimSpace(line); len(line) >= shortestPart {
				add(line)
			}
		}
		for _, form := range encodings(value) {
			add(form)
		}
	}
	if len(forms) == 0 {
		return nil
	}
	// The longest first: a value may hold another one.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	words := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		words = append(words, form, masked)
	}
	return &mask{whole: strings.NewReplacer(words...), forms: forms}
}

// encodings are the forms of a value that tools print it in.
func encodings(value string) []string {
	forms := []string{url.QueryEscape(value), url.PathEscape(value), hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))}
	for _, html := range []bool{false, true} {
		var quoted bytes.Buffer
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(html)
		if encoder.Encode(value) == nil {
			text := strings.TrimSpace(quoted.String())
			forms = append(forms, text[1:len(text)-1])
		}
	}
	// Inside of a longer text the value begins at one of three offsets; the
	// characters that its neighbours share in are left out.
	for offset := range 3 {
		padded := append(make([]byte, offset), value...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			from := []int{0, 2, 3}[offset]
			to := len(text)
			if len(padded)%3 != 0 {
				to-- // the last character holds bits of what follows
			}
			if to-from >= shortestPart {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

// line masks one line of output, in the order in which they come.
func (m *mask) line(text string) string {
	if m == nil {
		return text
	}
	bare := strings.TrimSpace(text)
	if m.pending != "" && bare != "" {
		if out, ok := m.goOn(text, bare); ok {
			return out
		}
		m.pending, m.lines = "", 0
	}
	out := m.whole.Replace(text)
	for _, form := range m.forms {
		part := beginAtEnd(out, form)
		if part == "" {
			continue
		}
		m.pending, m.lines = part, 1
		return strings.TrimSuffix(strings.TrimRight(out, " \t\r"), part) + masked
	}
	return out
}

// goOn masks a line that continues what the last one ended with.
func (m *mask) goOn(text, bare string) (string, bool) {
	for _, form := range m.forms {
		rest, ok := strings.CutPrefix(form, m.pending)
		if !ok || rest == "" {
			continue
		}
		if strings.HasPrefix(bare, rest) { // its end
			m.pending, m.lines = "", 0
			return m.whole.Replace(strings.Replace(text, rest, masked, 1)), true
		}
		if strings.HasPrefix(rest, bare) && m.lines < longestSplit { // its middle
			m.pending += bare
			m.lines++
			return masked, true
		}
	}
	return "", false
}

// beginAtEnd is the longest begin of a form that a line ends with, "" when that
// is too short to tell.
func beginAtEnd(text, form string) string {
	text = strings.TrimRight(text, " \t\r")
	for n := min(len(form)-1, len(text)); n >= shortestPart; n-- {
		if strings.HasSuffix(text, form[:n]) {
			return form[:n]
		}
	}
	return ""
}

// text masks a text of several lines.
func (m *mask) text(text string) string {
	if m == nil || text == "" {
		return text
	}
	lines := strings.Split(text, "\n")
	own := &mask{whole: m.whole, forms: m.forms}
	for i, line := range lines {
		lines[i] = own.line(line)
	}
	return strings.Join(lines, "\n")
}

// failure masks what a failure tells.
func (m *mask) failure(f *agent.Failure) *agent.Failure {
	if m == nil || f == nil {
		return f
	}
	out := *f
	out.Message, out.Fix, out.Logs = m.text(f.Message), m.text(f.Fix), slices.Clone(f.Logs)
	for i := range out.Logs {
		out.Logs[i] = m.text(out.Logs[i])
	}
	return &out
}
