package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

const letterColumns = `id, function, status, headers, payload, attempts, error, next_at, created_at`

func scanLetter(row scanner) (l agent.FunctionLetter, err error) {
	var headers string
	var next, created int64
	if err := row.Scan(&l.ID, &l.Function, &l.Status, &headers, &l.Payload, &l.Attempts, &l.Error, &next, &created); err != nil {
		return l, err
	}
	l.NextAt, l.CreatedAt = fromMillis(next), fromMillis(created)
	return l, json.Unmarshal([]byte(headers), &l.Headers)
}

// AddLetter keeps an asynchronous call. A second one with the key of an
// earlier is that earlier one.
func (s *Store) AddLetter(ctx context.Context, function string, call agent.FunctionCall) (l agent.FunctionLetter, err error) {
	headers, err := json.Marshal(call.Headers)
	if err != nil {
		return l, fmt.Errorf("writing headers: %w", err)
	}
	if call.Payload == nil {
		call.Payload = []byte{}
	}
	now := millis(s.cfg.Now())
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if call.Key != "" {
			l, err = scanLetter(tx.QueryRowContext(ctx, `SELECT `+letterColumns+` FROM function_letter WHERE function = ? AND key = ?`, function, call.Key))
			if err == nil || !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		l, err = scanLetter(tx.QueryRowContext(ctx, `INSERT INTO function_letter (function, status, key, headers, payload, next_at, created_at)
			VALUES (?, 'pending', ?, ?, ?, ?, ?) RETURNING `+letterColumns, function, call.Key, string(headers), call.Payload, now, now))
		return err
	})
	if err != nil {
		return l, fmt.Errorf("keeping a call of %s: %w", function, err)
	}
	return l, nil
}

// LeaseLetters takes calls that are due, for whoever makes them within the
// lease; a lease that ran out is due again.
func (s *Store) LeaseLetters(ctx context.Context, lease time.Duration, most int) ([]agent.FunctionLetter, error) {
	now := s.cfg.Now()
	return s.letters(ctx, `UPDATE function_letter SET status = 'running', attempts = attempts + 1, next_at = ? WHERE id IN
		(SELECT id FROM function_letter WHERE status IN ('pending', 'running') AND next_at <= ? ORDER BY next_at LIMIT ?) RETURNING `+letterColumns,
		millis(now.Add(lease)), millis(now), most)
}

// Letters lists the calls of a function that are not done, oldest first.
func (s *Store) Letters(ctx context.Context, function string) ([]agent.FunctionLetter, error) {
	return s.letters(ctx, `SELECT `+letterColumns+` FROM function_letter WHERE function = ? AND status != 'done' ORDER BY id`, function)
}

func (s *Store) letters(ctx context.Context, query string, args ...any) ([]agent.FunctionLetter, error) {
	return queryAll(ctx, s, "calls", scanLetter, query, args...)
}

// EndLetter keeps what came of an attempt: status done, dead, or pending until next.
// What is done is forgotten after a day, in which its key still counts.
func (s *Store) EndLetter(ctx context.Context, id int64, status, message string, next time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE function_letter SET status = ?, error = ?, next_at = ? WHERE id = ?`, status, message, millis(next), id); err != nil {
			return fmt.Errorf("keeping call %d: %w", id, err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM function_letter WHERE status = 'done' AND created_at < ?`, millis(s.cfg.Now().Add(-24*time.Hour))); err != nil {
			return fmt.Errorf("forgetting old calls: %w", err)
		}
		return nil
	})
}

// RedriveLetters has the dead letters of a function tried again, as new ones;
// it returns how many.
func (s *Store) RedriveLetters(ctx context.Context, function string) (int64, error) {
	now := millis(s.cfg.Now())
	result, err := s.db.ExecContext(ctx, `UPDATE function_letter SET status = 'pending', attempts = 0, next_at = ?, created_at = ? WHERE function = ? AND status = 'dead'`, now, now, function)
	if err != nil {
		return 0, fmt.Errorf("trying dead letters of %s again: %w", function, err)
	}
	return result.RowsAffected()
}
