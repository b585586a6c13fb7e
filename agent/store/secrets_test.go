package store

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

func TestSecretsInADatabaseFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hks.db")
	s := openAt(t, file, time.Now)
	for _, err := range []error{
		s.PutFunction(t.Context(), "resize", []byte("the key of a function")),
		s.SetFunctionEnv(t.Context(), "resize", map[string]string{"A": "a value of a function"}),
		s.PutGitHub(t.Context(), agent.GitHub{}, "the token of GitHub"),
		s.PutChannel(t.Context(), agent.Channel{Name: "team", Kind: "slack", Token: "the token of a channel"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	addRelease(t, s, newRelease("web:1", map[string]string{"B": "a value of an app"}), nil)
	secrets, err := SecretsIn(t.Context(), file, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the key of a function", "a value of a function", "the token of GitHub", "the token of a channel", "a value of an app"} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%q is not among %q", want, secrets)
		}
	}
	if secrets, err := SecretsIn(t.Context(), file, bytes.Repeat([]byte{9}, 32)); err != nil || len(secrets) > 0 {
		t.Errorf("with another key: %q, %v", secrets, err)
	}
}

func TestCopyAndLookAtAFile(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "hks.db"), time.Now)
	if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "info", Subject: "x", Message: "y"}); err != nil {
		t.Fatal(err)
	}
	if err := CopyFile(t.Context(), filepath.Join(dir, "hks.db"), filepath.Join(dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	facts, err := InspectFile(t.Context(), filepath.Join(dir, "copy.db"))
	if err != nil || !facts.Sound || facts.Rows["activity"] != 1 || facts.Schema == 0 {
		t.Errorf("%+v, %v", facts, err)
	}
	if err := CopyFile(t.Context(), filepath.Join(dir, "hks.db"), filepath.Join(dir, "copy.db")); err == nil {
		t.Error("a file that is there was written over")
	}
}
