package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDiffers(t *testing.T) {
	saved := []Table{{"a", 2, "7"}, {"b", 0, "0"}}
	for name, tt := range map[string]struct {
		got  []Table
		want string
	}{
		"the same, in another order": {[]Table{{"b", 0, "0"}, {"a", 2, "7"}}, ""},
		"a table less":               {[]Table{{"a", 2, "7"}}, "b is missing"},
		"a table more":               {[]Table{{"a", 2, "7"}, {"b", 0, "0"}, {"c", 1, "1"}}, "a table c"},
		"rows less":                  {[]Table{{"a", 1, "7"}, {"b", 0, "0"}}, "1 rows, not 2"},
		"another row":                {[]Table{{"a", 2, "8"}, {"b", 0, "0"}}, "rows of the table a"},
	} {
		if got := differs(saved, tt.got); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// double is an engine that keeps one archive.
type double struct {
	engine
	archive []byte
	then    bool
}

func (d *double) backup(_ context.Context, out io.Writer) (Contents, error) {
	_, err := out.Write(d.archive)
	return Contents{Tables: []Table{{"a", 1, "1"}}}, err
}

func (d *double) restore(_ context.Context, want Contents, in io.Reader) (Contents, func() error, error) {
	m := newMeasured()
	if _, err := io.Copy(m, in); err != nil {
		return Contents{}, nil, err
	}
	if err := m.whole(want); err != nil {
		return Contents{}, nil, err
	}
	if d.then {
		return want, func() error { return errors.New("done after the answer") }, nil
	}
	return want, nil, nil
}

func TestBackupAndRestoreSpeakTheSame(t *testing.T) {
	d := &double{archive: bytes.Repeat([]byte("row\n"), 40_000)}
	var out, told bytes.Buffer
	if err := backup(t.Context(), d, &out, &told); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(told.String())
	in := func(archive []byte) io.Reader {
		return io.MultiReader(strings.NewReader(line+"\n"), bytes.NewReader(archive))
	}
	var answer bytes.Buffer
	if err := restore(t.Context(), d, in(out.Bytes()), &answer); err != nil {
		t.Fatal(err)
	}
	var got Contents
	if err := json.Unmarshal(answer.Bytes(), &got); err != nil || got.Bytes != int64(len(d.archive)) || got.Restarts {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, archive := range map[string][]byte{"cut short": out.Bytes()[:100], "longer": append(bytes.Clone(out.Bytes()), 'x'), "empty": nil} {
		answer.Reset()
		if err := restore(t.Context(), d, in(archive), &answer); err == nil || answer.Len() > 0 || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v, answered %q", name, err, answer.String())
		}
	}
	d.then = true
	answer.Reset()
	if err := restore(t.Context(), d, in(out.Bytes()), &answer); err == nil || !strings.Contains(answer.String(), `"restarts":true`) {
		t.Errorf("%v, answered %q", err, answer.String())
	}
}

func TestSettings(t *testing.T) {
	good := map[string]string{"HKS_DATA": "/data", "HKS_RUN": "/run/hks", "HKS_DATABASE": "app", "HKS_USER": "app_1", "HKS_MEMORY": "268435456"}
	with := func(name, value string) func(string) string {
		return func(asked string) string {
			if asked == name {
				return value
			}
			return good[asked]
		}
	}
	s, err := settingsOf(with("", ""))
	if err != nil || s.megabytes(0.25, 16, 8<<10) != 64 || s.megabytes(0.01, 16, 64) != 16 {
		t.Errorf("got %+v, %v", s, err)
	}
	for name, value := range map[string]string{"HKS_DATA": "", "HKS_USER": "app'; DROP", "HKS_DATABASE": "App", "HKS_MEMORY": "much"} {
		if _, err := settingsOf(with(name, value)); err == nil {
			t.Errorf("%s=%q goes through", name, value)
		}
	}
}
