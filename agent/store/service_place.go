package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// servicePlace is where a service's instance runs: dedicated, or the name of a
// node; "" is the shared pool.
func (s *Store) servicePlace(ctx context.Context, name string) (place string, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT place FROM service_place WHERE service = ?`, name).Scan(&place)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading the place of %s: %w", name, err)
	}
	return place, nil
}

// PlaceService keeps where a service's instance runs.
func (s *Store) PlaceService(ctx context.Context, name, place string) error {
	query, args := `INSERT OR REPLACE INTO service_place (service, place) VALUES (?, ?)`, []any{name, place}
	if place == "" {
		query, args = `DELETE FROM service_place WHERE service = ?`, []any{name}
	}
	if _, err := s.db.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("keeping the place of %s: %w", name, err)
	}
	return nil
}
