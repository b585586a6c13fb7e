package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// What is kept of the audit log: this many entries, none older than this.
const (
	maxAudit = 50_000
	auditAge = 365 * 24 * time.Hour

	mostAuditText = 500 // bytes of one field
)

// AddAudit appends an entry, and lets go of the oldest over the bounds.
func (s *Store) AddAudit(ctx context.Context, e agent.AuditEntry) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO audit (at, who, via, token, address, method, route, target, status, code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			millis(e.Time), e.Who, e.Via, e.Token, e.Address, e.Method, cut(e.Route), cut(e.Target), e.Status, string(e.Code))
		if err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
		newest, err := result.LastInsertId()
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM audit WHERE id <= ? OR at < ?`, newest-maxAudit, millis(s.cfg.Now().Add(-auditAge)))
		}
		if err != nil {
			return fmt.Errorf("bounding the audit log: %w", err)
		}
		return nil
	})
}

func cut(text string) string {
	if len(text) > mostAuditText {
		return text[:mostAuditText] + "…"
	}
	return text
}

// Audit lists entries, newest first.
func (s *Store) Audit(ctx context.Context, q agent.AuditQuery) ([]agent.AuditEntry, error) {
	return queryAll(ctx, s, "the audit log", scanAudit, `SELECT id, at, who, via, token, address, method, route, target, status, code FROM audit
		WHERE (? = '' OR who = ?) AND (? = '' OR token = ?) AND (? = '' OR instr(method || ' ' || route || ' ' || target, ?) > 0) AND (NOT ? OR code != '') AND (? = 0 OR id < ?)
		ORDER BY id DESC LIMIT ?`,
		q.Who, q.Who, q.Token, q.Token, q.Text, q.Text, q.Failed, q.Before, q.Before, q.Limit)
}

func scanAudit(row scanner) (e agent.AuditEntry, err error) {
	var at int64
	err = row.Scan(&e.ID, &at, &e.Who, &e.Via, &e.Token, &e.Address, &e.Method, &e.Route, &e.Target, &e.Status, &e.Code)
	e.Time = fromMillis(at)
	return e, err
}

// Sessions lists the logins of browsers that have not ended, the last used
// first. Idle is how long one may be unused.
func (s *Store) Sessions(ctx context.Context, idle time.Duration) ([]agent.Session, error) {
	now := s.cfg.Now()
	return queryAll(ctx, s, "sessions", func(row scanner) (one agent.Session, err error) {
		var created, used, ends int64
		err = row.Scan(&one.ID, &created, &used, &ends)
		one.CreatedAt, one.UsedAt, one.ExpiresAt = fromMillis(created), fromMillis(used), fromMillis(ends)
		return one, err
	}, `SELECT id, created_at, used_at, expires_at FROM session WHERE expires_at > ? AND used_at > ? ORDER BY used_at DESC, id`, millis(now), millis(now.Add(-idle)))
}
