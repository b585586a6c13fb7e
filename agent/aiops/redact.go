package aiops

import (
	"regexp"

	"hks.dev/hks/agent"
)

// secretShapes are what secrets look like in logs. What the app was given as
// its environment is taken out before, by value; these are for the rest.
var secretShapes = []*regexp.Regexp{
	regexp.MustCompile(`(?i)((?:password|passwd|secret|token|api[-_]?key|authorization|cookie)["']?\s*[=:]\s*)(?:bearer\s+|basic\s+)?("[^"]*"|'[^']*'|[^\s,;&]+)`),
	regexp.MustCompile(`(?i)\b(bearer\s+)([A-Za-z0-9._~+/=-]{8,})`),
	regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^\s:/@]+:)([^\s@]+)(?:@)`),
	regexp.MustCompile(`()\b(xox[abprs]-[A-Za-z0-9-]+|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|AKIA[A-Z0-9]{16}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)`),
}

// redact takes what looks like a secret out of a line, and cuts it.
func redact(line string) string {
	for n, shape := range secretShapes {
		with := "${1}" + agent.HiddenValue
		if n == 2 {
			with += "@"
		}
		line = shape.ReplaceAllString(line, with)
	}
	return short(line, 500)
}

func redactAll(lines []string) []string {
	clean := make([]string, len(lines))
	for i, line := range lines {
		clean[i] = redact(line)
	}
	return clean
}
