package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"hks.dev/hks/agent"
)

const backupColumns = `id, service, engine, app_version, trigger_word, by_whom, bytes, sha256, tables, remote, verified_at, verified_good, verified_words, created_at`

func scanBackup(row scanner) (agent.Backup, error) {
	var (
		b                 agent.Backup
		v                 agent.Verification
		tables            string
		verified, created int64
	)
	err := row.Scan(&b.ID, &b.Service, &b.Engine, &b.AppVersion, &b.Trigger, &b.By, &b.Bytes, &b.SHA256, &tables, &b.Remote, &verified, &v.Good, &v.Message, &created)
	if err != nil {
		return agent.Backup{}, err
	}
	if err := json.Unmarshal([]byte(tables), &b.Tables); err != nil {
		return agent.Backup{}, fmt.Errorf("reading backup %d: %w", b.ID, err)
	}
	b.CreatedAt = fromMillis(created)
	if verified > 0 {
		v.Backup, v.At = b.ID, fromMillis(verified)
		b.Verified = &v
	}
	return b, nil
}

// AddBackup keeps a backup, after place has put its archive where it belongs
// under the backup's id.
func (s *Store) AddBackup(ctx context.Context, b agent.Backup, place func(id int64) error) (agent.Backup, error) {
	tables, err := json.Marshal(b.Tables)
	if err != nil {
		return agent.Backup{}, fmt.Errorf("writing a backup: %w", err)
	}
	b.CreatedAt = fromMillis(millis(s.cfg.Now()))
	err = s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO service_backup (service, engine, app_version, trigger_word, by_whom, bytes, sha256, tables, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			b.Service, b.Engine, b.AppVersion, b.Trigger, b.By, b.Bytes, b.SHA256, string(tables), millis(b.CreatedAt)).Scan(&b.ID)
		if err != nil {
			return fmt.Errorf("keeping a backup: %w", err)
		}
		return place(b.ID)
	})
	return b, err
}

// Backup returns one backup; ok is false when there is none.
func (s *Store) Backup(ctx context.Context, id int64) (b agent.Backup, ok bool, err error) {
	b, err = scanBackup(s.db.QueryRowContext(ctx, `SELECT `+backupColumns+` FROM service_backup WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Backup{}, false, nil
	}
	if err != nil {
		return agent.Backup{}, false, fmt.Errorf("reading backup %d: %w", id, err)
	}
	return b, true, nil
}

// Backups lists the backups of a service, newest first; of all when the name
// is empty.
func (s *Store) Backups(ctx context.Context, service string) ([]agent.Backup, error) {
	return queryAll(ctx, s, "backups", scanBackup, `SELECT `+backupColumns+` FROM service_backup WHERE ? = '' OR service = ? ORDER BY id DESC`, service, service)
}

// VerifyBackup keeps what came of a verification.
func (s *Store) VerifyBackup(ctx context.Context, v agent.Verification) error {
	_, err := s.db.ExecContext(ctx, `UPDATE service_backup SET verified_at = ?, verified_good = ?, verified_words = ? WHERE id = ?`,
		millis(v.At), v.Good, v.Message, v.Backup)
	if err != nil {
		return fmt.Errorf("keeping the verification of backup %d: %w", v.Backup, err)
	}
	return nil
}

// PutBackupRemote keeps where else a backup is.
func (s *Store) PutBackupRemote(ctx context.Context, id int64, remote string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE service_backup SET remote = ? WHERE id = ?`, remote, id); err != nil {
		return fmt.Errorf("keeping where else backup %d is: %w", id, err)
	}
	return nil
}

// RemoveBackup forgets a backup.
func (s *Store) RemoveBackup(ctx context.Context, id int64) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM service_backup WHERE id = ?`, id); err != nil {
		return fmt.Errorf("forgetting backup %d: %w", id, err)
	}
	return nil
}

const targetLabel = "backup-target"

// BackupTarget returns where copies of backups go, with its key; ok is false
// when there is none.
func (s *Store) BackupTarget(ctx context.Context) (target agent.BackupTarget, ok bool, err error) {
	var sealed []byte
	err = s.db.QueryRowContext(ctx, `SELECT sealed FROM backup_target`).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return agent.BackupTarget{}, false, nil
	}
	if err != nil {
		return agent.BackupTarget{}, false, fmt.Errorf("reading where backups go: %w", err)
	}
	data, err := s.seal.open(targetLabel, sealed)
	if err == nil {
		err = json.Unmarshal(data, &target)
	}
	if err != nil {
		return agent.BackupTarget{}, false, fmt.Errorf("reading where backups go: %w", err)
	}
	return target, true, nil
}

// PutBackupTarget keeps where copies of backups go; nil: nowhere.
func (s *Store) PutBackupTarget(ctx context.Context, target *agent.BackupTarget) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM backup_target`); err != nil || target == nil {
			return err
		}
		data, err := json.Marshal(target)
		if err != nil {
			return fmt.Errorf("writing where backups go: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_target (id, sealed) VALUES (1, ?)`, s.seal.seal(targetLabel, data)); err != nil {
			return fmt.Errorf("keeping where backups go: %w", err)
		}
		return nil
	})
}
