package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hks.dev/hks/agent"
)

// openAt opens the database file at path. The test's end closes it.
func openAt(t *testing.T, path string, now func() time.Time) *Store {
	t.Helper()
	s, err := New(Config{Path: path, Key: bytes.Repeat([]byte{7}, 32), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "state", "hks.db"), nil)
}

func schemaOf(t *testing.T, s *Store) int {
	t.Helper()
	var version int
	if err := s.db.QueryRowContext(t.Context(), `PRAGMA user_version`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

func TestMigrationsFromEmpty(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t)
	if got := schemaOf(t, s); got != len(files) || got == 0 {
		t.Errorf("schema %d after %d migrations", got, len(files))
	}
	for i, file := range files {
		if !strings.HasPrefix(filepath.Base(file), fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("%s is number %d", file, i+1)
		}
	}
	var check string
	if err := s.db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity: %q, %v", check, err)
	}
}

func TestReopeningKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hks.db")
	s := openAt(t, path, nil)
	if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "info", Subject: "x", Message: "before"}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing twice is fine
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	again := openAt(t, path, nil)
	kept, err := again.Activities(t.Context(), 10)
	if err != nil || len(kept) != 1 || kept[0].Message != "before" {
		t.Errorf("after reopening: %+v, %v", kept, err)
	}
	if backups, _ := filepath.Glob(path + ".before-*"); len(backups) != 0 {
		t.Errorf("nothing changed, yet there is a backup: %v", backups)
	}
}

func TestAnOlderSchemaIsBackedUpBeforeItIsChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hks.db")
	old, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.ReadFile("migrations/0001_identity.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{string(first), `PRAGMA user_version = 1`, `INSERT INTO activity (at, level, subject, message) VALUES (1, 'info', 'x', 'old')`} {
		if _, err := old.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, nil)
	if kept, err := s.Activities(t.Context(), 10); err != nil || len(kept) != 1 || kept[0].Message != "old" {
		t.Errorf("after the upgrade: %+v, %v", kept, err)
	}
	backup := fmt.Sprintf("%s.before-%d", path, schemaOf(t, s))
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("backup: %v, %v", info, err)
	}
	before, err := sql.Open("sqlite3", backup)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = before.Close() }()
	var version int
	if err := before.QueryRowContext(t.Context(), `PRAGMA user_version`).Scan(&version); err != nil || version != 1 {
		t.Errorf("the backup has schema %d, %v", version, err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hks.db")
	s := openAt(t, path, nil)
	if _, err := s.db.ExecContext(t.Context(), `PRAGMA user_version = 9999`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	late, err := New(Config{Path: path, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("opening a newer schema: %v", err)
	}
}

func TestBackupIsAWholeDatabase(t *testing.T) {
	s := open(t)
	if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "info", Subject: "x", Message: "kept"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy.db")
	for range 2 { // the second replaces the first
		if err := s.BackupTo(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v, %v", info, err)
	}
	kept, err := openAt(t, file, nil).Activities(t.Context(), 10)
	if err != nil || len(kept) != 1 {
		t.Errorf("the backup holds %+v, %v", kept, err)
	}
}

func TestFilesAreForTheAgentOnly(t *testing.T) {
	folder := t.TempDir() // open to others, as the agent's folder must not be
	s := openAt(t, filepath.Join(folder, "hks.db"), nil)
	if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "info"}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestSealedValuesStayInTheirPlace(t *testing.T) {
	s := open(t)
	sealed := s.seal.seal("web/staging/1", []byte("canary"))
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("the sealed value shows its text")
	}
	if again := s.seal.seal("web/staging/1", []byte("canary")); bytes.Equal(sealed, again) {
		t.Error("the same text is sealed the same way twice")
	}
	if plain, err := s.seal.open("web/staging/1", sealed); err != nil || string(plain) != "canary" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if _, err := s.seal.open("web/staging/2", sealed); err == nil {
		t.Error("another row's value was opened")
	}
	for name, damaged := range map[string][]byte{"cut": sealed[:5], "empty": nil, "changed": append(bytes.Clone(sealed[:len(sealed)-1]), ^sealed[len(sealed)-1])} {
		if _, err := s.seal.open("web/staging/1", damaged); err == nil {
			t.Errorf("a %s value was opened", name)
		}
	}
	other, err := newSealer(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.open("web/staging/1", sealed); err == nil {
		t.Error("another key opened the value")
	}
}

func TestAKeyOfTheWrongLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := New(Config{Path: "x", Key: make([]byte, n)}); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	s := open(t)
	const writers, lines = 16, 20
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range lines {
				if _, err := s.AddActivity(t.Context(), agent.Activity{Level: "info", Subject: "x", Message: "y"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	kept, err := s.Activities(t.Context(), writers*lines+1)
	if err != nil || len(kept) != writers*lines {
		t.Errorf("%d lines kept, %v", len(kept), err)
	}
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	s := open(t)
	err := s.tx(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO activity (at, level, subject, message) VALUES (1, 'info', 'x', 'y')`); err != nil {
			return err
		}
		return context.Canceled
	})
	if err == nil {
		t.Fatal("the error was lost")
	}
	if kept, err := s.Activities(t.Context(), 10); err != nil || len(kept) != 0 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}
