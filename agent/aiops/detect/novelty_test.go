package detect

import (
	"fmt"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for line, want := range map[string]string{
		"": "",
		"error: connect ECONNREFUSED 10.0.3.17:5432":                       "error: connect ECONNREFUSED <n>.<n>.<n>.<n>:<n>",
		`user "ann smith" not found`:                                       "user <text> not found",
		"request 3f2c9a1b-7d5e-4c1f-9e0a-1b2c3d4e5f60 failed":              "request <hex> failed",
		"commit 98a7205 is gone":                                           "commit <hex> is gone",
		`level=error msg="can't open file" took=15ms try=3`:                "level=error msg=<text> took=<n>ms try=<n>",
		"2026-11-25T10:11:38.123Z ERROR worker12 panicked at 0xc000123abc": "<n>-<n>-<n>T<n>:<n>:<n>.<n>Z ERROR worker<n> panicked at <hex>",
		"it's a plain   line":                                              "it's a plain line",
		strings.Repeat("a ", 100):                                          strings.TrimSpace(strings.Repeat("a ", longestTemplate)),
		"deadbeef cafe":                                                    "deadbeef cafe", // words, as far as can be told
		"blob " + strings.Repeat("x", 100):                                 "blob <*>",
		"\xff\xfe 12":                                                      "\xff\xfe <n>",
	} {
		if got := strings.Join(words(line), " "); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

func TestSerious(t *testing.T) {
	for line, want := range map[string]bool{
		"Error: no such table":               true,
		`{"level":"error","msg":"no"}`:       true,
		"panic: runtime error":               true,
		"java.lang.NullPointerException: x":  true,
		"TypeError: x is not a function":     true,
		"GET /errors 200":                    false,
		"finished, errors=0 error=0":         false,
		`{"msg":"done","err":null}`:          false,
		"mirror synced":                      false,
		"listening on 8080":                  false,
		"Traceback (most recent call last):": true,
		"deploy failed after 3 tries":        true,
		"error=nil ok":                       false,
		"error=nilpotent matrix":             true,
	} {
		if got := serious(LogLine{Line: line}); got != want {
			t.Errorf("%q is serious: %t, want %t", line, got, want)
		}
	}
	if serious(LogLine{Line: "no error at all", Level: "info"}) || !serious(LogLine{Line: "bad", Level: "FATAL"}) {
		t.Error("the level is not believed")
	}
}

func TestLogNovelty(t *testing.T) {
	errorAt := func(from, to, each int) func(m int) int {
		return func(m int) int {
			if m >= from && m < to {
				return each
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name string
		line string
		each func(m int) int
		want string
	}{
		{"new, and then gone", "Error: connect ECONNREFUSED 10.0.0.%d:5432", errorAt(200, 230, 5), "firing resolved"},
		{"new and there to stay", "Error: no row %d", errorAt(200, 400, 5), "firing"},
		{"too few", "Error: no row %d", errorAt(200, 400, 1), ""},
		{"there from the start", "Error: no row %d", errorAt(0, 400, 5), ""},
		{"seen before, more of it now", "Error: no row %d", func(m int) int { return 1 + 9*(m/200) }, ""},
		{"no error", "row %d is there", errorAt(200, 400, 50), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			s.minutes(0, 400, func(m int, at int64) {
				s.e.Log(LogLine{T: at, App: "web", Pod: podA, Line: fmt.Sprintf("GET /items/%d 200", m)})
				for i := range tt.each(m) {
					s.e.Log(LogLine{T: at + int64(i), App: "web", Pod: podA, Line: fmt.Sprintf(tt.line, m*100+i)})
				}
			})
			if got := s.heard(LogNovelty); got != tt.want {
				t.Errorf("it said %q, want %q: %v", got, tt.want, s.said)
			}
			if tt.want != "" && (s.all[0].Fingerprint != "web|web-production||log-novelty" || len(s.all[0].Evidence) != 1) {
				t.Errorf("it is about %q with %v", s.all[0].Fingerprint, s.all[0].Evidence)
			}
		})
	}
}

// TestLinesOfOneStatementAreOneTemplate has what varies in the first word, in
// words that no mask knows, and more of them from line to line.
func TestLinesOfOneStatementAreOneTemplate(t *testing.T) {
	d := newNovelties(noveltyDefaults())
	names := []string{"ann", "bob", "eve", "mallory"}
	for i := range 100 {
		d.log(LogLine{T: begin + int64(i), App: "web", Line: fmt.Sprintf("2026-11-%02dT%02d:00:%02dZ error: user %s may not read %s of team %s", i%28+1, i%24, i%60, names[i%4], names[i/4%4], names[i/16%4])})
	}
	for _, s := range d.states {
		if s.count != 1 {
			t.Errorf("%d templates, want 1: %v", s.count, s.templates)
		}
	}
}

func TestLogTemplatesAreBounded(t *testing.T) {
	d := newNovelties(noveltyDefaults())
	for i := range 5000 {
		d.log(LogLine{T: begin + int64(i), App: "web", Line: fmt.Sprintf("error %s %s %s", strings.Repeat("a", i%50), strings.Repeat("b", i%41), strings.Repeat("c", i%37))})
	}
	for _, s := range d.states {
		n := 0
		for _, list := range s.templates {
			n += len(list)
		}
		if n > d.p.Templates || n != s.count {
			t.Errorf("%d templates are kept, %d counted, at most %d are allowed", n, s.count, d.p.Templates)
		}
	}
}
