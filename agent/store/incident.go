package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// What is kept of incidents that are over, and of each one's timeline.
const (
	keptIncidents = 1000
	keptNotes     = 200
)

func scanIncident(row scanner) (agent.Incident, error) {
	var i agent.Incident
	var id int64
	var data string
	if err := row.Scan(&id, &data); err != nil {
		return i, err
	}
	err := json.Unmarshal([]byte(data), &i)
	i.ID = id
	return i, err
}

// OpenIncidents lists the incidents that go on, the oldest first.
func (s *Store) OpenIncidents(ctx context.Context) ([]agent.Incident, error) {
	return queryAll(ctx, s, "incidents", scanIncident, `SELECT id, data FROM incident WHERE status <> 'resolved' ORDER BY id`)
}

// Incidents lists incidents, the newest first, up to limit.
func (s *Store) Incidents(ctx context.Context, limit int) ([]agent.Incident, error) {
	return queryAll(ctx, s, "incidents", scanIncident, `SELECT id, data FROM incident ORDER BY status = 'resolved', id DESC LIMIT ?`, limit)
}

// Incident returns one with its timeline; ok is false when there is none.
func (s *Store) Incident(ctx context.Context, id int64) (i agent.Incident, ok bool, err error) {
	found, err := queryAll(ctx, s, "incidents", scanIncident, `SELECT id, data FROM incident WHERE id = ?`, id)
	if err != nil || len(found) == 0 {
		return agent.Incident{}, false, err
	}
	i = found[0]
	i.Timeline, err = queryAll(ctx, s, "an incident's timeline", scanNote, `SELECT at, text, by_whom FROM incident_note WHERE incident = ? ORDER BY rowid`, id)
	return i, err == nil, err
}

// LastIncident returns the one of a fingerprint that was resolved last; ok is
// false when there is none.
func (s *Store) LastIncident(ctx context.Context, fingerprint string) (i agent.Incident, ok bool, err error) {
	found, err := queryAll(ctx, s, "incidents", scanIncident,
		`SELECT id, data FROM incident WHERE fingerprint = ? AND status = 'resolved' ORDER BY resolved_at DESC LIMIT 1`, fingerprint)
	if err != nil || len(found) == 0 {
		return agent.Incident{}, false, err
	}
	return found[0], true, nil
}

func scanNote(row scanner) (agent.IncidentNote, error) {
	var n agent.IncidentNote
	var at int64
	err := row.Scan(&at, &n.Text, &n.By)
	n.At = fromMillis(at)
	return n, err
}

// PutIncident makes an incident, when its ID is 0, or writes it in place of
// the one that there is; with it go notes for its timeline and reports to
// channels, all or nothing: what is told was written, and what was written is
// told.
func (s *Store) PutIncident(ctx context.Context, i agent.Incident, notes []agent.IncidentNote, reports []agent.Report) (agent.Incident, error) {
	i.Timeline = nil
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if err := writeIncident(ctx, tx, &i); err != nil {
			return err
		}
		for _, n := range notes {
			if _, err := tx.ExecContext(ctx, `INSERT INTO incident_note (incident, at, text, by_whom) VALUES (?, ?, ?, ?)`, i.ID, millis(n.At), n.Text, n.By); err != nil {
				return fmt.Errorf("writing an incident's timeline: %w", err)
			}
		}
		if len(notes) > 0 {
			if _, err := tx.ExecContext(ctx, `DELETE FROM incident_note WHERE incident = ?1 AND rowid NOT IN
				(SELECT rowid FROM incident_note WHERE incident = ?1 ORDER BY rowid DESC LIMIT ?2)`, i.ID, keptNotes); err != nil {
				return fmt.Errorf("bounding an incident's timeline: %w", err)
			}
		}
		for _, r := range reports {
			if r.Incident != nil {
				r.Incident.ID = i.ID
			}
			if err := enqueue(ctx, tx, r, i.ID, i.UpdatedAt); err != nil {
				return err
			}
		}
		return nil
	})
	return i, err
}

func writeIncident(ctx context.Context, tx *sql.Tx, i *agent.Incident) error {
	data, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("encoding an incident: %w", err)
	}
	if i.ID > 0 {
		_, err = tx.ExecContext(ctx, `UPDATE incident SET status = ?, data = ?, updated_at = ?, resolved_at = ? WHERE id = ?`,
			string(i.Status), string(data), millis(i.UpdatedAt), millis(i.ResolvedAt), i.ID)
		if err != nil {
			return fmt.Errorf("writing an incident: %w", err)
		}
		return nil
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO incident (fingerprint, status, data, opened_at, updated_at, resolved_at) VALUES (?, ?, ?, ?, ?, ?)`,
		i.Fingerprint, string(i.Status), string(data), millis(i.OpenedAt), millis(i.UpdatedAt), millis(i.ResolvedAt))
	if err != nil {
		return fmt.Errorf("opening an incident: %w", err)
	}
	if i.ID, err = result.LastInsertId(); err != nil {
		return fmt.Errorf("opening an incident: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM incident WHERE status = 'resolved' AND id NOT IN (SELECT id FROM incident ORDER BY id DESC LIMIT ?)`, keptIncidents); err != nil {
		return fmt.Errorf("bounding the incidents: %w", err)
	}
	return nil
}

func scanSilence(row scanner) (agent.Silence, error) {
	var v agent.Silence
	var created, until int64
	err := row.Scan(&v.ID, &v.Subject, &v.Detector, &v.Fingerprint, &v.Reason, &v.By, &created, &until)
	v.CreatedAt, v.Until = fromMillis(created), fromMillis(until)
	return v, err
}

// Silences lists the silences that have not ended.
func (s *Store) Silences(ctx context.Context) ([]agent.Silence, error) {
	return queryAll(ctx, s, "silences", scanSilence,
		`SELECT id, subject, detector, fingerprint, reason, by_whom, created_at, until FROM silence WHERE until > ? ORDER BY id`, millis(s.cfg.Now()))
}

// AddSilence keeps a silence and lets go of those that have ended.
func (s *Store) AddSilence(ctx context.Context, v agent.Silence) (agent.Silence, error) {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM silence WHERE until <= ?`, millis(s.cfg.Now())); err != nil {
			return fmt.Errorf("letting go of silences: %w", err)
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO silence (subject, detector, fingerprint, reason, by_whom, created_at, until) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			v.Subject, v.Detector, v.Fingerprint, v.Reason, v.By, millis(v.CreatedAt), millis(v.Until))
		if err != nil {
			return fmt.Errorf("keeping a silence: %w", err)
		}
		if v.ID, err = result.LastInsertId(); err != nil {
			return fmt.Errorf("keeping a silence: %w", err)
		}
		return nil
	})
	return v, err
}

// RemoveSilence ends a silence; ok is false when there is none.
func (s *Store) RemoveSilence(ctx context.Context, id int64) (ok bool, err error) {
	result, err := s.db.ExecContext(ctx, `DELETE FROM silence WHERE id = ?`, id)
	if err != nil {
		return false, fmt.Errorf("ending a silence: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("ending a silence: %w", err)
	}
	return n > 0, nil
}

// Accepted is what the owner said is no leak, and when.
type Accepted struct {
	Fingerprint string
	At          time.Time
}

// AcceptFingerprint remembers that it is no trouble.
func (s *Store) AcceptFingerprint(ctx context.Context, fingerprint, by string, at time.Time) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO accepted (fingerprint, by_whom, at) VALUES (?, ?, ?)
		ON CONFLICT (fingerprint) DO UPDATE SET by_whom = excluded.by_whom, at = excluded.at`, fingerprint, by, millis(at))
	if err != nil {
		return fmt.Errorf("remembering what is no leak: %w", err)
	}
	return nil
}

// AcceptedFingerprints lists them.
func (s *Store) AcceptedFingerprints(ctx context.Context) ([]Accepted, error) {
	return queryAll(ctx, s, "what is no leak", func(row scanner) (Accepted, error) {
		var a Accepted
		var at int64
		err := row.Scan(&a.Fingerprint, &at)
		a.At = fromMillis(at)
		return a, err
	}, `SELECT fingerprint, at FROM accepted ORDER BY fingerprint`)
}
