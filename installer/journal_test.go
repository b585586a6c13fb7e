package installer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openJournal(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJournalUndoesBackwardsAndRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "journal.jsonl")
	j := openJournal(t, path)
	before := "old"
	for _, c := range []Change{{Kind: "a", Target: "1"}, {Kind: "b", Target: "2", Before: &before, After: "new"}, {Kind: "a", Target: "3"}} {
		if err := j.Record(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	if !j.Has("b", "2") || j.Has("b", "1") {
		t.Errorf("pending = %+v", j.pending)
	}
	busy := errors.New("busy")
	var order []string
	err := j.Undo(func(c Change) error {
		order = append(order, c.Target)
		if c.Target == "2" {
			if c.Before == nil || *c.Before != before || c.After != "new" {
				t.Errorf("change = %+v", c)
			}
			return busy
		}
		return nil
	})
	if !errors.Is(err, busy) || strings.Join(order, "") != "321" {
		t.Errorf("order %v, %v", order, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	order = nil
	if err := j.Undo(func(c Change) error { order = append(order, c.Target); return nil }); err != nil || strings.Join(order, "") != "2" {
		t.Errorf("the second time: %v, %v", order, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if exists(path) {
		t.Error("the journal stays with nothing to undo")
	}
}

func TestJournalCutShortByACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := openJournal(t, path)
	if err := j.Record(Change{Kind: "a", Target: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":2,"op":"app`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	if err := j.Record(Change{Kind: "a", Target: "2"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j = openJournal(t, path); len(j.pending) != 2 || j.pending[1].ID != 2 {
		t.Errorf("pending = %+v", j.pending)
	}
	if err := os.WriteFile(path, []byte("{\"op\":\"rename\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("an unknown line: %v", err)
	}
}
