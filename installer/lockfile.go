package installer

import (
	_ "embed" // the lock file
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed k3s.lock
var embeddedLock string

var (
	releaseGrammar = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+\+k3s[0-9]+$`)
	sumGrammar     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	fileGrammar    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// lockFile records which release is meant and which of its files were verified.
type lockFile struct {
	version string
	sums    map[string]string // file to sha256
}

func parseLock(text string) (lockFile, error) {
	lock := lockFile{sums: map[string]string{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) == 2 && fields[0] == "version" && releaseGrammar.MatchString(fields[1]) && lock.version == "":
			lock.version = fields[1]
		case len(fields) == 3 && fields[0] == "sha256" && sumGrammar.MatchString(fields[1]) && fileGrammar.MatchString(fields[2]):
			lock.sums[fields[2]] = fields[1]
		default:
			return lockFile{}, fmt.Errorf("k3s.lock, line %d is not understood: %q", n, strings.TrimSpace(line))
		}
	}
	if lock.version == "" {
		return lockFile{}, fmt.Errorf("k3s.lock names no version")
	}
	return lock, nil
}

// text is the lock file with the comment it has had.
func (l lockFile) text() string {
	var out strings.Builder
	for line := range strings.Lines(embeddedLock) {
		if strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	fmt.Fprintf(&out, "version %s\n", l.version)
	for _, name := range slices.Sorted(maps.Keys(l.sums)) {
		fmt.Fprintf(&out, "sha256 %s %s\n", l.sums[name], name)
	}
	return out.String()
}

// parseSums reads a release's own checksum file: lines of sha256sum(1).
func parseSums(text string) (map[string]string, error) {
	sums := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 || !sumGrammar.MatchString(fields[0]) {
			return nil, fmt.Errorf("a line of the checksum file is not understood: %q", strings.TrimSpace(line))
		}
		sums[strings.TrimPrefix(fields[1], "*")] = fields[0]
	}
	return sums, nil
}
