package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// ErrApplianceBusy says that another job of the appliance has not ended.
var ErrApplianceBusy = errors.New("the appliance is being saved or tried already")

// keptApplianceJobs is how many jobs are kept.
const keptApplianceJobs = 100

const recoveryLabel = "recovery-key"

const (
	applianceJobColumns    = `id, kind, status, steps, trigger_word, volumes, backup, failure, by_whom, attempts, deadline, created_at, started_at, finished_at`
	applianceBackupColumns = `id, file, bytes, sha256, trigger_word, by_whom, contents, remote, copy_error, drill, created_at`
)

func scanApplianceJob(row scanner) (agent.ApplianceJob, error) {
	var (
		j                                    agent.ApplianceJob
		steps, failure                       string
		deadline, created, started, finished int64
	)
	err := row.Scan(&j.ID, &j.Kind, &j.Status, &steps, &j.Trigger, &j.Volumes, &j.Backup, &failure, &j.By, &j.Attempts, &deadline, &created, &started, &finished)
	if err != nil {
		return agent.ApplianceJob{}, err
	}
	j.Deadline, j.CreatedAt, j.StartedAt, j.FinishedAt = fromMillis(deadline), fromMillis(created), fromMillis(started), fromMillis(finished)
	err = json.Unmarshal([]byte(steps), &j.Steps)
	if err == nil && failure != "" {
		j.Failure = new(agent.Failure)
		err = json.Unmarshal([]byte(failure), j.Failure)
	}
	if err != nil {
		return agent.ApplianceJob{}, fmt.Errorf("reading the appliance's job %d: %w", j.ID, err)
	}
	return j, nil
}

// AddApplianceJob accepts a job; ErrApplianceBusy while another one has not
// ended.
func (s *Store) AddApplianceJob(ctx context.Context, j agent.ApplianceJob) (agent.ApplianceJob, error) {
	j.Status, j.Steps, j.CreatedAt = agent.RunPending, []agent.JobStep{}, fromMillis(millis(s.cfg.Now()))
	err := s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO appliance_job (kind, status, trigger_word, volumes, backup, by_whom, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			j.Kind, string(j.Status), j.Trigger, j.Volumes, j.Backup, j.By, millis(j.CreatedAt)).Scan(&j.ID)
		if err != nil && strings.Contains(err.Error(), "UNIQUE constraint") {
			return ErrApplianceBusy
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM appliance_job WHERE id <= ?`, j.ID-keptApplianceJobs)
		}
		if err != nil {
			return fmt.Errorf("keeping a job of the appliance: %w", err)
		}
		return nil
	})
	return j, err
}

// PutApplianceJob keeps how far a job is, and until when its worker is taken
// to be alive.
func (s *Store) PutApplianceJob(ctx context.Context, j agent.ApplianceJob, lease time.Time) error {
	steps, err := json.Marshal(j.Steps)
	if err != nil {
		return fmt.Errorf("writing the appliance's job %d: %w", j.ID, err)
	}
	failure := []byte{}
	if j.Failure != nil {
		if failure, err = json.Marshal(j.Failure); err != nil {
			return fmt.Errorf("writing the appliance's job %d: %w", j.ID, err)
		}
	}
	_, err = s.db.ExecContext(ctx, `UPDATE appliance_job SET status = ?, steps = ?, backup = ?, failure = ?, attempts = ?, lease_until = ?, deadline = ?, started_at = ?, finished_at = ? WHERE id = ?`,
		string(j.Status), string(steps), j.Backup, string(failure), j.Attempts, millis(lease), millis(j.Deadline), millis(j.StartedAt), millis(j.FinishedAt), j.ID)
	if err != nil {
		return fmt.Errorf("keeping the appliance's job %d: %w", j.ID, err)
	}
	return nil
}

// ApplianceJob returns one job; ok is false when there is none.
func (s *Store) ApplianceJob(ctx context.Context, id int64) (j agent.ApplianceJob, ok bool, err error) {
	j, err = scanApplianceJob(s.db.QueryRowContext(ctx, `SELECT `+applianceJobColumns+` FROM appliance_job WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.ApplianceJob{}, false, nil
	}
	if err != nil {
		return agent.ApplianceJob{}, false, fmt.Errorf("reading the appliance's job %d: %w", id, err)
	}
	return j, true, nil
}

// ApplianceJobs lists the jobs, newest first.
func (s *Store) ApplianceJobs(ctx context.Context) ([]agent.ApplianceJob, error) {
	return queryAll(ctx, s, "the appliance's jobs", scanApplianceJob, `SELECT `+applianceJobColumns+` FROM appliance_job ORDER BY id DESC`)
}

func scanApplianceBackup(row scanner) (agent.ApplianceBackup, error) {
	var (
		b               agent.ApplianceBackup
		contents, drill string
		created         int64
	)
	err := row.Scan(&b.ID, &b.File, &b.Bytes, &b.SHA256, &b.Trigger, &b.By, &contents, &b.Remote, &b.CopyError, &drill, &created)
	if err != nil {
		return agent.ApplianceBackup{}, err
	}
	b.CreatedAt = fromMillis(created)
	err = json.Unmarshal([]byte(contents), &b.Contents)
	if err == nil && drill != "" {
		b.Drill = new(agent.ApplianceDrill)
		err = json.Unmarshal([]byte(drill), b.Drill)
	}
	if err != nil {
		return agent.ApplianceBackup{}, fmt.Errorf("reading the appliance's backup %d: %w", b.ID, err)
	}
	return b, nil
}

// AddApplianceBackup keeps an archive, after place has put it where it belongs.
func (s *Store) AddApplianceBackup(ctx context.Context, b agent.ApplianceBackup, place func() error) (agent.ApplianceBackup, error) {
	contents, err := json.Marshal(b.Contents)
	if err != nil {
		return b, fmt.Errorf("writing a backup of the appliance: %w", err)
	}
	b.CreatedAt = fromMillis(millis(s.cfg.Now()))
	err = s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO appliance_backup (file, bytes, sha256, trigger_word, by_whom, contents, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			b.File, b.Bytes, b.SHA256, b.Trigger, b.By, string(contents), millis(b.CreatedAt)).Scan(&b.ID)
		if err != nil {
			return fmt.Errorf("keeping a backup of the appliance: %w", err)
		}
		return place()
	})
	return b, err
}

// ApplianceBackup returns one archive; ok is false when there is none.
func (s *Store) ApplianceBackup(ctx context.Context, id int64) (b agent.ApplianceBackup, ok bool, err error) {
	b, err = scanApplianceBackup(s.db.QueryRowContext(ctx, `SELECT `+applianceBackupColumns+` FROM appliance_backup WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.ApplianceBackup{}, false, nil
	}
	if err != nil {
		return agent.ApplianceBackup{}, false, fmt.Errorf("reading the appliance's backup %d: %w", id, err)
	}
	return b, true, nil
}

// ApplianceBackups lists the archives, newest first.
func (s *Store) ApplianceBackups(ctx context.Context) ([]agent.ApplianceBackup, error) {
	return queryAll(ctx, s, "the appliance's backups", scanApplianceBackup, `SELECT `+applianceBackupColumns+` FROM appliance_backup ORDER BY id DESC`)
}

// PutApplianceCopy keeps where else an archive is, or why it is not.
func (s *Store) PutApplianceCopy(ctx context.Context, id int64, remote, failure string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE appliance_backup SET remote = ?, copy_error = ? WHERE id = ?`, remote, failure, id); err != nil {
		return fmt.Errorf("keeping where else the appliance's backup %d is: %w", id, err)
	}
	return nil
}

// PutApplianceDrill keeps what came of a drill.
func (s *Store) PutApplianceDrill(ctx context.Context, d agent.ApplianceDrill) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("writing a drill: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE appliance_backup SET drill = ? WHERE id = ?`, string(data), d.Backup); err != nil {
		return fmt.Errorf("keeping the drill over backup %d: %w", d.Backup, err)
	}
	return nil
}

// RemoveApplianceBackup forgets an archive.
func (s *Store) RemoveApplianceBackup(ctx context.Context, id int64) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM appliance_backup WHERE id = ?`, id); err != nil {
		return fmt.Errorf("forgetting the appliance's backup %d: %w", id, err)
	}
	return nil
}

// RecoveryKey returns the key of the archives and when it was last shown; ok
// is false when there is none yet.
func (s *Store) RecoveryKey(ctx context.Context) (key string, shown time.Time, ok bool, err error) {
	var (
		sealed []byte
		at     int64
	)
	err = s.db.QueryRowContext(ctx, `SELECT sealed, shown_at FROM recovery_key`).Scan(&sealed, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, false, nil
	}
	if err != nil {
		return "", time.Time{}, false, fmt.Errorf("reading the recovery key: %w", err)
	}
	plain, err := s.seal.open(recoveryLabel, sealed)
	if err != nil {
		return "", time.Time{}, false, fmt.Errorf("reading the recovery key: %w", err)
	}
	return string(plain), fromMillis(at), true, nil
}

// AddRecoveryKey keeps the key; one that is there already stays.
func (s *Store) AddRecoveryKey(ctx context.Context, key string) error {
	if _, err := s.db.ExecContext(ctx, `INSERT INTO recovery_key (id, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING`, s.seal.seal(recoveryLabel, []byte(key))); err != nil {
		return fmt.Errorf("keeping the recovery key: %w", err)
	}
	return nil
}

// ShowRecoveryKey notes that the key is shown now.
func (s *Store) ShowRecoveryKey(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE recovery_key SET shown_at = ?`, millis(s.cfg.Now())); err != nil {
		return fmt.Errorf("noting that the recovery key was shown: %w", err)
	}
	return nil
}

// AfterRestore mends a database that was brought back on a new machine: jobs
// of the appliance that went on when it was copied have ended there, archives
// of it are elsewhere, and backups of services whose file did not come along
// and that are nowhere else are forgotten. There tells whether a file came.
func (s *Store) AfterRestore(ctx context.Context, there func(b agent.Backup) bool) error {
	backups, err := s.Backups(ctx, "")
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		failure, err := json.Marshal(agent.Failure{Code: agent.CodeConflict, Message: "it went on in the appliance that this one was restored from"})
		if err != nil {
			return fmt.Errorf("mending the restored database: %w", err)
		}
		_, err = tx.ExecContext(ctx, `UPDATE appliance_job SET status = 'failed', failure = ?, finished_at = ? WHERE status IN ('pending', 'running')`, string(failure), millis(s.cfg.Now()))
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM appliance_backup WHERE remote = ''`)
		}
		for _, b := range backups {
			if err == nil && b.Remote == "" && !there(b) {
				_, err = tx.ExecContext(ctx, `DELETE FROM service_backup WHERE id = ?`, b.ID)
			}
		}
		if err != nil {
			return fmt.Errorf("mending the restored database: %w", err)
		}
		return nil
	})
}

// RenewApplianceLease says that whoever does a job is alive.
func (s *Store) RenewApplianceLease(ctx context.Context, id int64, until time.Time) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE appliance_job SET lease_until = ? WHERE id = ? AND status = 'running'`, millis(until), id); err != nil {
		return fmt.Errorf("renewing the lease of job %d: %w", id, err)
	}
	return nil
}
