package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
)

// FileFacts is what can be said of a database file without knowing what it is for.
type FileFacts struct {
	Schema int              `json:"schema"` // PRAGMA user_version
	Sound  bool             `json:"sound"`  // PRAGMA integrity_check found nothing
	Faults []string         `json:"faults,omitempty"`
	Rows   map[string]int64 `json:"rows,omitempty"` // by table
	Bytes  int64            `json:"bytes"`
}

// most faults of a damaged file that are told.
const mostFaults = 5

// openFile opens an SQLite file as it is: nothing is made, no schema is changed.
func openFile(file string) (*sql.DB, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	dsn := (&url.URL{Scheme: "file", Opaque: file, RawQuery: url.Values{"mode": {"rw"}, "_busy_timeout": {"10000"}}.Encode()}).String()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// CopyFile writes a consistent copy of an SQLite file, which may be in use, to
// a new file with mode 0600. The schema stays as it is.
func CopyFile(ctx context.Context, from, to string) (err error) {
	db, err := openFile(from)
	if err != nil {
		return fmt.Errorf("copying the database %s: %w", from, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return fmt.Errorf("copying the database %s: %w", from, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("copying the database %s: %w", from, err)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copying the database %s: %w", from, errors.Join(err, os.Remove(to)))
	}
	if f, err = os.OpenFile(to, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("syncing the copy of %s: %w", from, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing the copy of %s: %w", from, err)
	}
	return nil
}

// InspectFile looks at an SQLite file, which may be in use. A damaged file is
// no error: Sound is false then, and Faults say what SQLite said.
func InspectFile(ctx context.Context, file string) (facts FileFacts, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return facts, fmt.Errorf("looking at the database: %w", err)
	}
	facts.Bytes = info.Size()
	db, err := openFile(file)
	if err != nil {
		return facts, fmt.Errorf("looking at the database %s: %w", file, err)
	}
	defer func() { _ = db.Close() }() // only read
	if err := facts.read(ctx, db); err != nil {
		if ctx.Err() != nil {
			return facts, fmt.Errorf("looking at the database %s: %w", file, ctx.Err())
		}
		facts.Sound, facts.Faults = false, append(facts.Faults, err.Error())
	}
	return facts, nil
}

func (f *FileFacts) read(ctx context.Context, db *sql.DB) error {
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&f.Schema); err != nil {
		return err
	}
	faults, err := texts(ctx, db, fmt.Sprintf(`PRAGMA integrity_check(%d)`, mostFaults))
	if err != nil {
		return err
	}
	if f.Sound = slices.Equal(faults, []string{"ok"}); !f.Sound {
		f.Faults = faults
		return nil
	}
	tables, err := texts(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
	if err != nil {
		return err
	}
	f.Rows = map[string]int64{}
	for _, table := range tables {
		var count int64
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(table, `"`, `""`)+`"`).Scan(&count); err != nil {
			return err
		}
		f.Rows[table] = count
	}
	return nil
}

func texts(ctx context.Context, db *sql.DB, query string) (list []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

// ActivitiesIn lists what happened after a moment (milliseconds since 1970
// UTC) by an agent's database file, newest first, up to limit lines, and how
// many there are in all. A file without such a table has none.
func ActivitiesIn(ctx context.Context, file string, after int64, limit int) (messages []string, count int, err error) {
	db, err := openFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading what happened: %w", err)
	}
	defer func() { _ = db.Close() }() // only read
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM activity WHERE at > ?`, after).Scan(&count); err != nil {
		return nil, 0, fmt.Errorf("reading what happened: %w", err)
	}
	rows, err := db.QueryContext(ctx, `SELECT subject || ': ' || message FROM activity WHERE at > ? ORDER BY id DESC LIMIT ?`, after, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("reading what happened: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, 0, fmt.Errorf("reading what happened: %w", err)
		}
		messages = append(messages, text)
	}
	return messages, count, rows.Err()
}

// MountedVolumesIn lists the disks that an agent's database file says are in
// use and mounted. A file from before there were volumes has none.
func MountedVolumesIn(ctx context.Context, file string) ([]string, error) {
	db, err := openFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the volumes: %w", err)
	}
	defer func() { _ = db.Close() }() // only read
	tables, err := texts(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'volume'`)
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	ids, err := texts(ctx, db, `SELECT id FROM volume WHERE status = 'ready' ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("reading the volumes: %w", err)
	}
	return ids, nil
}
