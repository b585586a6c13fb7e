package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// openToRead opens any SQLite database for reading, also one that another
// process writes to.
func openToRead(file string) (*sql.DB, error) {
	if _, err := os.Stat(file); err != nil { // SQLite's own words don't say which
		return nil, fmt.Errorf("opening a database: %w", err)
	}
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Opaque: file, RawQuery: url.Values{"mode": {"ro"}, "_busy_timeout": {"10000"}}.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("opening a database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// CopyDatabase writes a consistent copy of any SQLite database to a file that
// must not exist yet. Whoever writes to it meanwhile goes on undisturbed.
func CopyDatabase(ctx context.Context, from, to string) (err error) {
	db, err := openToRead(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copying the database %s: %w", filepath.Base(from), err)
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return fmt.Errorf("protecting the copy: %w", err)
	}
	return nil
}

// CountRows checks a database file that nobody has open through and through,
// and counts the rows of each table.
func CountRows(ctx context.Context, file string) (rows map[string]int, err error) {
	db, err := openToRead(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return nil, fmt.Errorf("checking the database %s: %w", filepath.Base(file), err)
	}
	if verdict != "ok" {
		return nil, fmt.Errorf("the database %s is damaged: %s", filepath.Base(file), verdict)
	}
	names, err := tables(ctx, db)
	if err != nil {
		return nil, err
	}
	rows = map[string]int{}
	for _, name := range names {
		var count int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM "`+strings.ReplaceAll(name, `"`, `""`)+`"`).Scan(&count); err != nil {
			return nil, fmt.Errorf("counting the rows of %s: %w", name, err)
		}
		rows[name] = count
	}
	return rows, nil
}

func tables(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	return collect(rows, "tables", func(row scanner) (name string, err error) { return name, row.Scan(&name) })
}
