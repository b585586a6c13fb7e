package manifest

import (
	"strings"
	"testing"
)

func TestReadFunction(t *testing.T) {
	for name, text := range map[string]string{
		"flat":   "name: hello\nruntime: nodejs\nentry: hello\nrequires: [KEY]\n",
		"object": "apiVersion: hks.io/v1\nkind: Function\nmetadata:\n  name: hello\nspec:\n  runtime: nodejs\n  entry: hello\n  requires: [KEY]\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ReadFunction([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != "hello" || s.Runtime != "nodejs" || s.Entry != "hello" || len(s.Requires) != 1 {
				t.Errorf("read %+v", s)
			}
		})
	}
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":              {"name: hello\nruntim: go\n", `2:1: the key "runtim" is not known; did you mean runtime?`},
		"other kind":               {"apiVersion: hks.io/v1\nkind: Cron\n", "kind: Function"},
		"unknown key of a trigger": {"name: hello\ntriggers:\n  - cron: '@daily'\n    timezone: UTC\n", `4:5: the key "timezone" is not known; did you mean timeZone?`},
		"not a number":             {"name: hello\ntimeout: soon\n", "line 2"},
		"empty":                    {"", "no keys"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ReadFunction([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, not %q", err, c.says)
			}
		})
	}
}
