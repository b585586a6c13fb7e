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

// VolumeMove is a volume on its way to another machine, as it is kept.
type VolumeMove struct {
	Namespace, Claim string
	Source, Target   string // ids of volumes
	FromNode, ToNode string // empty: the appliance's own machine
	Phase            agent.VolumeMovePhase
	Notes            map[string]string // annotations of the claim
	Total            int64             // bytes with something in them
	Copied           int64             // bytes sent so far
	Rest             int64             // bytes that differed when it was last compared
	Digest           string            // of what was sent last
	Message          string            // what is in the way
	BegunAt          time.Time
	ChangedAt        time.Time
}

const volumeMoveColumns = `namespace, claim, source, target, from_node, to_node, phase, claim_notes, total, copied, rest, digest, message, begun_at, changed_at`

func scanVolumeMove(row scanner) (m VolumeMove, err error) {
	var notes string
	var begun, changed int64
	if err := row.Scan(&m.Namespace, &m.Claim, &m.Source, &m.Target, &m.FromNode, &m.ToNode, &m.Phase, &notes, &m.Total, &m.Copied, &m.Rest, &m.Digest, &m.Message, &begun, &changed); err != nil {
		return VolumeMove{}, err
	}
	m.BegunAt, m.ChangedAt = fromMillis(begun), fromMillis(changed)
	return m, json.Unmarshal([]byte(notes), &m.Notes)
}

// VolumeMoves lists all moves, in the order of their claims.
func (s *Store) VolumeMoves(ctx context.Context) ([]VolumeMove, error) {
	return queryAll(ctx, s, "moves of volumes", scanVolumeMove, `SELECT `+volumeMoveColumns+` FROM volume_move ORDER BY namespace, claim`)
}

// VolumeMove returns that of a claim; ok is false when there is none.
func (s *Store) VolumeMove(ctx context.Context, namespace, claim string) (m VolumeMove, ok bool, err error) {
	m, err = scanVolumeMove(s.db.QueryRowContext(ctx, `SELECT `+volumeMoveColumns+` FROM volume_move WHERE namespace = ? AND claim = ?`, namespace, claim))
	if errors.Is(err, sql.ErrNoRows) {
		return VolumeMove{}, false, nil
	}
	if err != nil {
		return VolumeMove{}, false, fmt.Errorf("reading the move of %s: %w", claim, err)
	}
	return m, true, nil
}

// PutVolumeMove writes the whole of a move and of the volumes that change with
// it, at once.
func (s *Store) PutVolumeMove(ctx context.Context, m VolumeMove, volumes ...Volume) error {
	if m.Notes == nil {
		m.Notes = map[string]string{}
	}
	notes, err := json.Marshal(m.Notes)
	if err != nil {
		return fmt.Errorf("encoding the move of %s: %w", m.Claim, err)
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO volume_move (`+volumeMoveColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Namespace, m.Claim, m.Source, m.Target, m.FromNode, m.ToNode, string(m.Phase), string(notes), m.Total, m.Copied, m.Rest, m.Digest, m.Message, millis(m.BegunAt), millis(s.cfg.Now())); err != nil {
			return err
		}
		return s.putVolumes(ctx, tx, volumes)
	})
	if err != nil {
		return fmt.Errorf("keeping the move of %s: %w", m.Claim, err)
	}
	return nil
}

// EndVolumeMove forgets a move and writes the volumes that change with that,
// at once.
func (s *Store) EndVolumeMove(ctx context.Context, namespace, claim string, volumes ...Volume) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM volume_move WHERE namespace = ? AND claim = ?`, namespace, claim); err != nil {
			return err
		}
		return s.putVolumes(ctx, tx, volumes)
	})
	if err != nil {
		return fmt.Errorf("ending the move of %s: %w", claim, err)
	}
	return nil
}

func (s *Store) putVolumes(ctx context.Context, tx *sql.Tx, volumes []Volume) error {
	for _, v := range volumes {
		if err := s.putVolume(ctx, tx, v); err != nil {
			return err
		}
	}
	return nil
}
