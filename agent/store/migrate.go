package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// migrations are files NNNN_what.sql, applied in order, never changed once
// released.
//
//go:embed migrations/*.sql
var migrations embed.FS

func (s *Store) migrate(ctx context.Context) error {
	var current int
	if err := s.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&current); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("listing migrations: %w", err)
	}
	newest := len(files)
	switch {
	case current > newest:
		return fmt.Errorf("the database has schema %d, this version knows only %d: install the newer version again", current, newest)
	case current == newest:
		return nil
	case current > 0:
		if err := s.BackupTo(ctx, fmt.Sprintf("%s.before-%d", s.cfg.Path, newest)); err != nil {
			return err
		}
	}
	for _, file := range files[current:] {
		number, err := strconv.Atoi(strings.SplitN(path.Base(file), "_", 2)[0])
		if err != nil || number != current+1 {
			return fmt.Errorf("migration %s is out of order", file)
		}
		if err := s.apply(ctx, file, number); err != nil {
			return err
		}
		current = number
	}
	return nil
}

func (s *Store) apply(ctx context.Context, file string, number int) error {
	text, err := migrations.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading migration %s: %w", file, err)
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("applying migration %s: %w", file, err)
		}
		if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(number)); err != nil {
			return fmt.Errorf("recording migration %s: %w", file, err)
		}
		return nil
	})
}

// BackupTo writes a consistent copy of the database to file, which is
// replaced, with mode 0600.
func (s *Store) BackupTo(ctx context.Context, file string) error {
	temp := file + ".tmp"
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("clearing an earlier backup: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `VACUUM INTO ?`, temp); err != nil {
		return fmt.Errorf("backing up the database: %w", err)
	}
	if err := os.Chmod(temp, 0o600); err != nil {
		return fmt.Errorf("protecting the backup: %w", err)
	}
	if err := os.Rename(temp, file); err != nil {
		return fmt.Errorf("placing the backup: %w", err)
	}
	return nil
}
