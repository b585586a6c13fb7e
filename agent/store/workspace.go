package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// Workspace is what is kept of the workspace: where its state machine stands.
type Workspace struct {
	Name      string
	Status    agent.WorkspaceStatus
	Step      string // what is being done
	Reason    string // why it failed
	Fix       string
	RenameTo  string // the new name, while renaming
	Leftover  string // a namespace that is to be removed
	PodLevel  string
	Plan      string // the plan's name
	Applied   string // the plan whose limits the cluster was seen to hold
	By        string // who asked for the work in hand
	Deadline  time.Time
	CreatedAt time.Time
}

// Workspace returns the workspace; ok is false when there is none.
func (s *Store) Workspace(ctx context.Context) (w Workspace, ok bool, err error) {
	var deadline, created int64
	err = s.db.QueryRowContext(ctx, `SELECT name, status, step, reason, fix, rename_to, leftover, pod_level, plan, applied, by_whom, deadline, created_at
		FROM workspace WHERE id = 1`).
		Scan(&w.Name, &w.Status, &w.Step, &w.Reason, &w.Fix, &w.RenameTo, &w.Leftover, &w.PodLevel, &w.Plan, &w.Applied, &w.By, &deadline, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return Workspace{}, false, nil
	}
	if err != nil {
		return Workspace{}, false, fmt.Errorf("reading the workspace: %w", err)
	}
	w.Deadline, w.CreatedAt = fromMillis(deadline), fromMillis(created)
	return w, true, nil
}

// PutWorkspace writes the whole of the workspace in place of what was there.
func (s *Store) PutWorkspace(ctx context.Context, w Workspace) error {
	_, err := s.db.ExecContext(ctx, `INSERT OR REPLACE INTO workspace
		(id, name, status, step, reason, fix, rename_to, leftover, pod_level, plan, applied, by_whom, deadline, created_at)
		VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.Name, string(w.Status), w.Step, w.Reason, w.Fix, w.RenameTo, w.Leftover, w.PodLevel, w.Plan, w.Applied, w.By,
		millis(w.Deadline), millis(w.CreatedAt))
	if err != nil {
		return fmt.Errorf("writing the workspace: %w", err)
	}
	return nil
}
