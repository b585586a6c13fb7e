package detect

import (
	"strings"
	"unicode/utf8"
)

const (
	longestTemplate = 24       // words; what follows is mostly variable
	longestWord     = 64       // bytes
	anything        = "<*>"    // a word that differs from line to line
	figure          = "<n>"    // a number
	hexadecimal     = "<hex>"  // a hash, an id, an address
	quoted          = "<text>" // what was in quotes
)

// words cuts a log line into the words of its template: what varies from line
// to line is masked, so that lines of the same statement are alike.
func words(line string) []string {
	var out []string
	for len(out) < longestTemplate {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return out
		}
		if q := line[0]; q == '"' || q == '\'' || q == '`' {
			if end := strings.IndexByte(line[1:], q); end >= 0 {
				out, line = append(out, quoted), line[end+2:]
				continue
			}
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		word := line[:end]
		if q := strings.IndexAny(word, `"'`+"`"); q > 0 { // name="some text"
			if close := strings.IndexByte(line[q+1:], line[q]); close >= 0 {
				out, line = append(out, mask(word[:q])+quoted), line[q+1+close+1:]
				continue
			}
		}
		out, line = append(out, mask(word)), line[end:]
	}
	return out
}

// mask replaces what is variable in one word.
func mask(word string) string {
	var b strings.Builder
	for len(word) > 0 {
		n := 0
		for n < len(word) && alphanumeric(word[n]) {
			n++
		}
		if n == 0 {
			_, size := utf8.DecodeRuneInString(word)
			b.WriteString(word[:size])
			word = word[size:]
			continue
		}
		if dashed := uuid(word); dashed > 0 {
			n = dashed
			b.WriteString(hexadecimal)
		} else {
			b.WriteString(maskPart(word[:n]))
		}
		word = word[n:]
	}
	if b.Len() > longestWord {
		return anything
	}
	return b.String()
}

func maskPart(part string) string {
	digits, letters, hex := 0, 0, true
	for i := range len(part) {
		switch c := part[i]; {
		case c >= '0' && c <= '9':
			digits++
		default:
			letters++
			hex = hex && (c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || (c == 'x' || c == 'X') && i == 1 && part[0] == '0')
		}
	}
	switch {
	case letters == 0:
		return figure
	case digits > 0 && hex && len(part) >= 6:
		return hexadecimal
	case digits >= 3 && len(part) >= 12: // a random id
		return hexadecimal
	case digits > 0: // 15ms, worker12, 25T10
		return maskDigits(part)
	}
	return part
}

// maskDigits replaces each run of digits.
func maskDigits(part string) string {
	var b strings.Builder
	for i := range len(part) {
		switch c := part[i]; {
		case c < '0' || c > '9':
			b.WriteByte(c)
		case i == 0 || part[i-1] < '0' || part[i-1] > '9':
			b.WriteString(figure)
		}
	}
	return b.String()
}

// uuid returns the length of a UUID that a text begins with; 0 of none.
func uuid(text string) int {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(text) < len(form) || len(text) > len(form) && alphanumeric(text[len(form)]) {
		return 0
	}
	for i := range len(form) {
		c := text[i]
		if dash := form[i] == '-'; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return 0
		}
	}
	return len(form)
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// serious tells whether a line says that something went wrong.
func serious(l LogLine) bool {
	switch strings.ToLower(l.Level) {
	case "error", "err", "fatal", "critical", "crit", "panic", "alert", "emergency", "emerg":
		return true
	case "":
	default:
		return false
	}
	for i := 0; i < len(l.Line); {
		n := i
		for n < len(l.Line) && alphanumeric(l.Line[n]) {
			n++
		}
		if n == i {
			i++
			continue
		}
		switch word := strings.ToLower(l.Line[i:n]); word {
		case "error", "err", "fatal", "panic", "exception", "traceback", "critical", "failed", "failure", "unhandled", "uncaught":
			if !denied(l.Line[n:]) {
				return true
			}
		default:
			if strings.HasSuffix(word, "exception") || strings.HasSuffix(word, "error") {
				return true
			}
		}
		i = n
	}
	return false
}

// denied tells whether a word such as error has the value nothing: error=0,
// "err":null.
func denied(rest string) bool {
	value := strings.TrimLeft(rest, `":= `)
	if value == rest {
		return false
	}
	for _, nothing := range []string{"0", "null", "nil", "none", "false", "<nil>", "undefined"} {
		if after, ok := strings.CutPrefix(value, nothing); ok && (after == "" || !alphanumeric(after[0])) {
			return true
		}
	}
	return false
}
