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

// Volume is a disk as it is kept: the ledger of what was begun with it.
type Volume struct {
	ID               string // of the disk and of the PersistentVolume
	Namespace, Claim string
	UID              string            // of the claim it was made for; empty once it was restored
	Labels           map[string]string // of the claim
	Size, Asked      int64             // bytes; they differ while it grows
	Status           agent.VolumeStatus
	Purge            bool // no grace time once its claim is gone
	Message          string
	KeptUntil        time.Time
	CreatedAt        time.Time
	Node             string // whose machine has the disk; empty: the appliance's own
}

const volumeColumns = `id, namespace, claim, uid, labels, size, asked, status, purge, message, kept_until, created_at, node`

func scanVolume(row scanner) (v Volume, err error) {
	var (
		labels        string
		kept, created int64
	)
	if err := row.Scan(&v.ID, &v.Namespace, &v.Claim, &v.UID, &labels, &v.Size, &v.Asked, &v.Status, &v.Purge, &v.Message, &kept, &created, &v.Node); err != nil {
		return Volume{}, err
	}
	v.KeptUntil, v.CreatedAt = fromMillis(kept), fromMillis(created)
	return v, json.Unmarshal([]byte(labels), &v.Labels)
}

// Volumes lists all volumes, in the order of their claims, the oldest first.
func (s *Store) Volumes(ctx context.Context) ([]Volume, error) {
	return queryAll(ctx, s, "volumes", scanVolume, `SELECT `+volumeColumns+` FROM volume ORDER BY claim, created_at, id`)
}

// Volume returns one by its id; ok is false when there is none.
func (s *Store) Volume(ctx context.Context, id string) (v Volume, ok bool, err error) {
	v, err = scanVolume(s.db.QueryRowContext(ctx, `SELECT `+volumeColumns+` FROM volume WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Volume{}, false, nil
	}
	if err != nil {
		return Volume{}, false, fmt.Errorf("reading the volume %s: %w", id, err)
	}
	return v, true, nil
}

// PutVolume writes the whole of a volume in place of what was there.
func (s *Store) PutVolume(ctx context.Context, v Volume) error { return s.putVolume(ctx, s.db, v) }

func (s *Store) putVolume(ctx context.Context, db execer, v Volume) error {
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	labels, err := json.Marshal(v.Labels)
	if err != nil {
		return fmt.Errorf("encoding a volume's labels: %w", err)
	}
	if v.CreatedAt.IsZero() {
		v.CreatedAt = s.cfg.Now()
	}
	_, err = db.ExecContext(ctx, `INSERT OR REPLACE INTO volume (`+volumeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ID, v.Namespace, v.Claim, v.UID, string(labels), v.Size, v.Asked, string(v.Status), v.Purge, v.Message, millis(v.KeptUntil), millis(v.CreatedAt), v.Node)
	if err != nil {
		return fmt.Errorf("keeping the volume %s: %w", v.ID, err)
	}
	return nil
}

// ForgetVolume removes a volume's row.
func (s *Store) ForgetVolume(ctx context.Context, id string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM volume WHERE id = ?`, id); err != nil {
		return fmt.Errorf("forgetting the volume %s: %w", id, err)
	}
	return nil
}
