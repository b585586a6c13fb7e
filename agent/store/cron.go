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

// KeptCronRuns is how many runs of a cron job are kept.
const KeptCronRuns = 200

// CronJob is a cron job and the last slot that was decided on.
type CronJob struct {
	agent.CronJob
	Cursor time.Time
}

const cronColumns = `name, schedule, time_zone, target, concurrency, catch_up, deadline, timeout, paused, cursor, by_whom, created_at, updated_at`

func scanCron(row scanner) (j CronJob, err error) {
	var target string
	var cursor, created, updated int64
	err = row.Scan(&j.Name, &j.Schedule, &j.TimeZone, &target, &j.Concurrency, &j.CatchUp, &j.Deadline, &j.Timeout, &j.Paused, &cursor, &j.By, &created, &updated)
	if err != nil {
		return CronJob{}, err
	}
	j.Cursor, j.CreatedAt, j.UpdatedAt = fromMillis(cursor), fromMillis(created), fromMillis(updated)
	return j, json.Unmarshal([]byte(target), &j.Target)
}

// CronJobs lists all cron jobs by name.
func (s *Store) CronJobs(ctx context.Context) ([]CronJob, error) {
	return queryAll(ctx, s, "cron jobs", scanCron, `SELECT `+cronColumns+` FROM cron_job ORDER BY name`)
}

// CronJob returns one by name; ok is false when there is none.
func (s *Store) CronJob(ctx context.Context, name string) (j CronJob, ok bool, err error) {
	j, err = scanCron(s.db.QueryRowContext(ctx, `SELECT `+cronColumns+` FROM cron_job WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return CronJob{}, false, nil
	}
	if err != nil {
		return CronJob{}, false, fmt.Errorf("reading the cron job %s: %w", name, err)
	}
	return j, true, nil
}

// PutCronJob makes a cron job, or writes it in place of the one of its name.
func (s *Store) PutCronJob(ctx context.Context, j CronJob) error {
	target, err := json.Marshal(j.Target)
	if err != nil {
		return fmt.Errorf("encoding a cron job's target: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO cron_job (`+cronColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET schedule = excluded.schedule, time_zone = excluded.time_zone, target = excluded.target,
			concurrency = excluded.concurrency, catch_up = excluded.catch_up, deadline = excluded.deadline, timeout = excluded.timeout,
			paused = excluded.paused, cursor = excluded.cursor, by_whom = excluded.by_whom, updated_at = excluded.updated_at`,
		j.Name, j.Schedule, j.TimeZone, string(target), j.Concurrency, j.CatchUp, int64(j.Deadline), int64(j.Timeout), j.Paused,
		millis(j.Cursor), j.By, millis(j.CreatedAt), millis(j.UpdatedAt))
	if err != nil {
		return fmt.Errorf("writing the cron job %s: %w", j.Name, err)
	}
	return nil
}

// DeleteCronJob forgets a cron job and its runs.
func (s *Store) DeleteCronJob(ctx context.Context, name string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM cron_job WHERE name = ?`, name); err != nil {
		return fmt.Errorf("deleting the cron job %s: %w", name, err)
	}
	return nil
}

const runColumns = `id, job, slot, manual, status, message, exit_code, by_whom, started_at, finished_at`

func scanRun(row scanner) (r agent.CronRun, err error) {
	var slot, started, finished int64
	var exit sql.NullInt64
	if err := row.Scan(&r.ID, &r.Job, &slot, &r.Manual, &r.Status, &r.Message, &exit, &r.By, &started, &finished); err != nil {
		return agent.CronRun{}, err
	}
	if exit.Valid {
		code := int(exit.Int64)
		r.ExitCode = &code
	}
	r.Slot, r.StartedAt, r.FinishedAt = fromMillis(slot), fromMillis(started), fromMillis(finished)
	return r, nil
}

// DecideCron writes the runs that were decided on and moves the job's cursor,
// all or nothing. A slot that has a run already is left out: it is decided
// once, whatever dies. It returns the runs that were made.
func (s *Store) DecideCron(ctx context.Context, job string, cursor time.Time, runs []agent.CronRun) (made []agent.CronRun, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		made = nil
		if _, err := tx.ExecContext(ctx, `UPDATE cron_job SET cursor = max(cursor, ?) WHERE name = ?`, millis(cursor), job); err != nil {
			return fmt.Errorf("moving the cursor of %s: %w", job, err)
		}
		for _, r := range runs {
			result, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO cron_run (job, slot, manual, status, message, by_whom, started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				job, millis(r.Slot), r.Manual, string(r.Status), r.Message, r.By, millis(r.StartedAt), millis(r.FinishedAt))
			if err != nil {
				return fmt.Errorf("writing a run of %s: %w", job, err)
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				continue
			}
			if r.ID, err = result.LastInsertId(); err != nil {
				return fmt.Errorf("writing a run of %s: %w", job, err)
			}
			r.Job = job
			made = append(made, r)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM cron_run WHERE job = ? AND status NOT IN ('pending', 'running')
			AND id NOT IN (SELECT id FROM cron_run WHERE job = ? ORDER BY id DESC LIMIT ?)`, job, job, KeptCronRuns)
		if err != nil {
			return fmt.Errorf("forgetting old runs of %s: %w", job, err)
		}
		return nil
	})
	return made, err
}

// CronRuns lists runs, the newest first: of one job, or of all when it is
// empty.
func (s *Store) CronRuns(ctx context.Context, job string, limit int) ([]agent.CronRun, error) {
	return s.cronRuns(ctx, `SELECT `+runColumns+` FROM cron_run WHERE ? IN ('', job) ORDER BY id DESC LIMIT ?`, job, limit)
}

// UnfinishedCronRuns lists the runs that are pending or running, oldest first.
func (s *Store) UnfinishedCronRuns(ctx context.Context) ([]agent.CronRun, error) {
	return s.cronRuns(ctx, `SELECT `+runColumns+` FROM cron_run WHERE status IN ('pending', 'running') ORDER BY id`)
}

func (s *Store) cronRuns(ctx context.Context, query string, args ...any) ([]agent.CronRun, error) {
	return queryAll(ctx, s, "runs", scanRun, query, args...)
}

// CronRun returns one; ok is false when there is none.
func (s *Store) CronRun(ctx context.Context, id int64) (r agent.CronRun, ok bool, err error) {
	r, err = scanRun(s.db.QueryRowContext(ctx, `SELECT `+runColumns+` FROM cron_run WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.CronRun{}, false, nil
	}
	if err != nil {
		return agent.CronRun{}, false, fmt.Errorf("reading run %d: %w", id, err)
	}
	return r, true, nil
}

// PutCronRun writes how a run stands.
func (s *Store) PutCronRun(ctx context.Context, r agent.CronRun) error {
	var exit any
	if r.ExitCode != nil {
		exit = *r.ExitCode
	}
	_, err := s.db.ExecContext(ctx, `UPDATE cron_run SET status = ?, message = ?, exit_code = ?, started_at = ?, finished_at = ? WHERE id = ?`,
		string(r.Status), r.Message, exit, millis(r.StartedAt), millis(r.FinishedAt), r.ID)
	if err != nil {
		return fmt.Errorf("writing run %d: %w", r.ID, err)
	}
	return nil
}
