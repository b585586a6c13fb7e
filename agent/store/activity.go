package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"hks.dev/hks/agent"
)

// What is kept of what happened: this many lines, each cut at this length.
const (
	maxActivities    = 5000
	maxActivityBytes = 2000
)

// AddActivity keeps one line of what happened and lets go of the oldest when
// there are too many. A zero time means now; the line is returned as kept.
func (s *Store) AddActivity(ctx context.Context, activity agent.Activity) (agent.Activity, error) {
	if activity.Time.IsZero() {
		activity.Time = s.cfg.Now()
	}
	if len(activity.Message) > maxActivityBytes {
		activity.Message = strings.ToValidUTF8(activity.Message[:maxActivityBytes], "") + "…"
	}
	activity.Time = fromMillis(millis(activity.Time))
	err := s.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO activity (at, level, subject, message, by_whom) VALUES (?, ?, ?, ?, ?)`,
			millis(activity.Time), activity.Level, activity.Subject, activity.Message, activity.By)
		if err != nil {
			return fmt.Errorf("keeping an activity: %w", err)
		}
		newest, err := result.LastInsertId()
		if err != nil {
			return fmt.Errorf("keeping an activity: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM activity WHERE id <= ?`, newest-maxActivities); err != nil {
			return fmt.Errorf("bounding the activities: %w", err)
		}
		return nil
	})
	return activity, err
}

// Activities lists what happened, newest first, up to limit lines.
func (s *Store) Activities(ctx context.Context, limit int) ([]agent.Activity, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT at, level, subject, message, by_whom FROM activity ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("listing activities: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var activities []agent.Activity
	for rows.Next() {
		var (
			activity agent.Activity
			at       int64
		)
		if err := rows.Scan(&at, &activity.Level, &activity.Subject, &activity.Message, &activity.By); err != nil {
			return nil, fmt.Errorf("reading an activity: %w", err)
		}
		activity.Time = fromMillis(at)
		activities = append(activities, activity)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing activities: %w", err)
	}
	return activities, nil
}
