package cli

import (
	"maps"
	"strings"
	"testing"

	"hks.dev/hks/agent"
)

func TestParseEnvFile(t *testing.T) {
	text := "# comment\n\nA=1\nexport B = two words \nC=\"quoted # kept\"\nD='x=y'\nE=\nF=\"\nG=a\"b\n"
	want := map[string]string{"A": "1", "B": "two words", "C": "quoted # kept", "D": "x=y", "E": "", "F": `"`, "G": `a"b`}
	got := map[string]string{}
	if err := parseEnvFile("x", strings.NewReader(text), got); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"s3cret\n", "1A=s3cret\n", "=s3cret\n", "A B=s3cret\n", "A=" + strings.Repeat("s3cret", 1<<18)} {
		err := parseEnvFile("x", strings.NewReader(bad), map[string]string{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestA18EnvIsLaidOverTheLatestRelease(t *testing.T) {
	latest := map[string]string{"KEPT": agent.HiddenValue, "CHANGED": agent.HiddenValue, "GONE": agent.HiddenValue}
	o := envOptions{unset: []string{"GONE", "NEVER"}}
	got := o.merge(latest, map[string]string{"CHANGED": "2", "NEW": "3"})
	want := map[string]string{"KEPT": agent.HiddenValue, "CHANGED": "2", "NEW": "3"}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&envOptions{}).merge(latest, nil); got != nil {
		t.Errorf("nothing asked: %q, want nil, which keeps all", got)
	}
	if got := (&envOptions{unset: []string{"A"}}).merge(map[string]string{"A": ""}, nil); got == nil || len(got) != 0 {
		t.Errorf("the last one taken away: %q, want an empty map", got)
	}
}
