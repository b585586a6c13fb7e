package manifest

import (
	"reflect"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := map[string][]string{
		"npm test":                     {"npm", "test"},
		"  go\ttest  ./... \n":         {"go", "test", "./..."},
		`node -e 'a && b' "c d" ''`:    {"node", "-e", "a && b", "c d", ""},
		`a"b c"d`:                      {"ab cd"},
		`echo "it's"`:                  {"echo", "it's"},
		`sh -c 'echo $HOME | tee "x"'`: {"sh", "-c", `echo $HOME | tee "x"`},
		"run --env=A=b a#b a~b ä":      {"run", "--env=A=b", "a#b", "a~b", "ä"},
		"":                             nil,
		" ":                            nil,
	}
	for text, want := range tests {
		if got, err := split(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("split(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestSplitRefusesWhatOnlyAShellUnderstands(t *testing.T) {
	tests := map[string]string{
		"a && b": "'&'", "a | b": "'|'", "a; b": "';'", "a > f": "'>'", "a < f": "'<'", "echo $HOME": "'$'", `echo "$HOME"`: "'$'",
		"a `b`": "'`'", "a (b)": "'('", `a \b`: `'\\'`, "ls *.js": "'*'", "ls a?": "'?'", "a {b,c}": "'{'", "a # b": "'#'", "a ~/b": "'~'",
		"a 'b": "not closed", `a "b`: "not closed", "A=b c": "program's name is missing", "a \x00": "zero byte",
	}
	for text, want := range tests {
		if got, err := split(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("split(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}
