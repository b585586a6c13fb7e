// Package store keeps the agent's state in SQLite. Each kind of thing has a
// file of its own with its queries; each change of the schema is an embedded,
// append-only migration.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the database driver
)

// Config says where the database is and what it needs.
type Config struct {
	Path string           // the database file; its folder is made
	Key  []byte           // 32 bytes that seal secret columns
	Now  func() time.Time // the clock; default time.Now
}

// Store is the agent's database. It is safe for concurrent use.
type Store struct {
	cfg  Config
	db   *sql.DB
	seal *sealer
}

// New checks the settings; Open opens the file.
func New(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	seal, err := newSealer(cfg.Key)
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, seal: seal}, nil
}

// Open opens the database and brings its schema up to date, after a backup of
// the file when there is anything to change.
func (s *Store) Open(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.cfg.Path), 0o700); err != nil {
		return fmt.Errorf("making the database's folder: %w", err)
	}
	if err := protect(s.cfg.Path); err != nil {
		return err
	}
	dsn := (&url.URL{Scheme: "file", Opaque: s.cfg.Path, RawQuery: url.Values{
		"_foreign_keys": {"on"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_busy_timeout": {"10000"},
		"_txlock":       {"immediate"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	db.SetMaxOpenConns(8)
	s.db = db
	if err := s.migrate(ctx); err != nil {
		_ = db.Close() // the migration's error is the one to tell
		return err
	}
	return nil
}

// protect makes the file before SQLite does, for the agent only; SQLite gives
// the files it puts beside it the same mode.
func protect(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("making the database's file: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fmt.Errorf("protecting the database: %w", err)
	}
	return nil
}

// Close writes everything out and closes the database; closing twice is fine.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("asking the database: %w", err)
	}
	return nil
}

// tx runs fn in one immediate transaction.
func (s *Store) tx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// millis is how times are kept: milliseconds since 1970 UTC, 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
