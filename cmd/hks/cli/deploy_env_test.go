package cli

import (
	"maps"
	"strings"
	"testing"
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

func TestA18EnvIsSentAsAPatch(t *testing.T) {
	given := map[string]string{"CHANGED": "2", "NEW": "3"}
	got := (&envOptions{unset: []string{"GONE"}}).patch(given)
	if got == nil || !maps.Equal(got.Set, given) || len(got.Unset) != 1 || got.Unset[0] != "GONE" {
		t.Errorf("got %+v", got)
	}
	if got := (&envOptions{}).patch(nil); got != nil {
		t.Errorf("nothing asked: %+v, want nil, which keeps all", got)
	}
}
