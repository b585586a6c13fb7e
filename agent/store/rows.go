package store

import (
	"context"
	"database/sql"
	"fmt"
)

// scanner is a row, whether it is the only one or one of many.
type scanner interface{ Scan(dest ...any) error }

// queryAll runs a query and reads each of its rows. What names them in
// errors, such as "incidents".
func queryAll[T any](ctx context.Context, s *Store, what string, read func(row scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", what, err)
	}
	return collect(rows, what, read)
}

func collect[T any](rows *sql.Rows, what string, read func(row scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // only read from
	var all []T
	for rows.Next() {
		one, err := read(rows)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing %s: %w", what, err)
	}
	return all, nil
}
