package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// Bounds of the tables of this file. More sessions push out the one that was
// used longest ago; more tokens are refused.
const (
	maxSessions = 100
	maxTokens   = 100
)

// Session is a browser's login. Its secret is kept as a hash only.
type Session struct {
	ID        string
	CreatedAt time.Time
	UsedAt    time.Time
	ExpiresAt time.Time // whatever its use
}

// HasOwner tells whether the appliance was set up.
func (s *Store) HasOwner(ctx context.Context) (bool, error) {
	hash, err := s.PasswordHash(ctx)
	return hash != "", err
}

// PasswordHash returns the owner's password hash, "" when there is no owner.
func (s *Store) PasswordHash(ctx context.Context) (string, error) {
	var hash string
	err := s.db.QueryRowContext(ctx, `SELECT password_hash FROM owner WHERE id = 1`).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading the owner: %w", err)
	}
	return hash, nil
}

// ReplacePasswordHash puts another hash of the same password in place of
// before; it changes nothing when before is no longer the one kept.
func (s *Store) ReplacePasswordHash(ctx context.Context, before, after string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE owner SET password_hash = ? WHERE id = 1 AND password_hash = ?`, after, before)
	if err != nil {
		return fmt.Errorf("renewing the password's hash: %w", err)
	}
	return nil
}

// PutSetupLink keeps the hash of a one-time link in place of any earlier one.
// It is refused once there is an owner.
func (s *Store) PutSetupLink(ctx context.Context, hash []byte, expires time.Time) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := refuseOwner(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO setup_link (id, hash, expires_at) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`, hash, millis(expires))
		if err != nil {
			return fmt.Errorf("keeping the set-up link: %w", err)
		}
		return nil
	})
}

// PutResetLink keeps the hash of a one-time link with which the owner sets
// another password. All API tokens are revoked with it when that is asked for.
func (s *Store) PutResetLink(ctx context.Context, hash []byte, expires time.Time, revokeTokens bool) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var owners int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM owner`).Scan(&owners); err != nil {
			return fmt.Errorf("looking for an owner: %w", err)
		}
		if owners == 0 {
			return &agent.Error{Code: agent.CodeSetupRequired, Message: "this appliance has no owner yet, so there is no password to reset", Fix: "make the set-up link, as root on the machine: hks setup-link"}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO setup_link (id, hash, expires_at) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`, hash, millis(expires))
		if err != nil {
			return fmt.Errorf("keeping the link: %w", err)
		}
		if revokeTokens {
			if _, err := tx.ExecContext(ctx, `DELETE FROM token`); err != nil {
				return fmt.Errorf("revoking the tokens: %w", err)
			}
		}
		return nil
	})
}

// SetupLink tells whether hash is that of the one-time link in force, and
// until when it is.
func (s *Store) SetupLink(ctx context.Context, hash []byte) (expires time.Time, ok bool, err error) {
	return s.setupLink(ctx, s.db, hash)
}

// SetUp makes the owner, or sets another password where there is one and a link
// was made for that; it burns the link, ends all sessions and begins the first
// one, all or nothing. Of two at the same time one wins; the other is told that
// the link was used.
func (s *Store) SetUp(ctx context.Context, link []byte, passwordHash string, first Session, secret []byte) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, ok, err := s.setupLink(ctx, tx, link)
		switch {
		case err != nil:
			return err
		case !ok:
			if err := refuseOwner(ctx, tx); err != nil {
				return err
			}
			return DeadSetupLink()
		}
		for _, table := range []string{"setup_link", "session"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table); err != nil {
				return fmt.Errorf("burning the link: %w", err)
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO owner (id, password_hash, created_at) VALUES (1, ?, ?)
			ON CONFLICT (id) DO UPDATE SET password_hash = excluded.password_hash`,
			passwordHash, millis(s.cfg.Now()))
		if err != nil {
			return fmt.Errorf("keeping the owner: %w", err)
		}
		return insertSession(ctx, tx, first, secret)
	})
}

// DeadSetupLink is the error for a one-time link that was used, has expired or
// was never made. It does not tell which.
func DeadSetupLink() *agent.Error {
	return &agent.Error{
		Code:    agent.CodeSetupLink,
		Message: "the set-up link was used, has expired or was replaced by a newer one",
		Fix:     "make a new one on the machine, as root: hks setup-link; once there is an owner: hks-installer reset-password",
	}
}

// AddSession keeps a new session under the hash of its secret. It takes the
// place of the session called replaces, which may be empty.
func (s *Store) AddSession(ctx context.Context, session Session, secret []byte, replaces string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM session WHERE id = ? OR expires_at <= ?`, replaces, millis(s.cfg.Now()))
		if err != nil {
			return fmt.Errorf("removing ended sessions: %w", err)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM session WHERE id IN
			(SELECT id FROM session ORDER BY used_at DESC LIMIT -1 OFFSET ?)`, maxSessions-1)
		if err != nil {
			return fmt.Errorf("bounding the sessions: %w", err)
		}
		return insertSession(ctx, tx, session, secret)
	})
}

// Session finds a session by the hash of its secret, however old it is.
func (s *Store) Session(ctx context.Context, secret []byte) (Session, bool, error) {
	var (
		session             Session
		created, used, ends int64
	)
	err := s.db.QueryRowContext(ctx, `SELECT id, created_at, used_at, expires_at FROM session WHERE hash = ?`, secret).
		Scan(&session.ID, &created, &used, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, fmt.Errorf("reading a session: %w", err)
	}
	session.CreatedAt, session.UsedAt, session.ExpiresAt = fromMillis(created), fromMillis(used), fromMillis(ends)
	return session, true, nil
}

// TouchSession records that a session was used now.
func (s *Store) TouchSession(ctx context.Context, id string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE session SET used_at = ? WHERE id = ?`, millis(s.cfg.Now()), id); err != nil {
		return fmt.Errorf("recording a session's use: %w", err)
	}
	return nil
}

// RemoveSession ends a session; one that is gone is fine.
func (s *Store) RemoveSession(ctx context.Context, id string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM session WHERE id = ?`, id); err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// AddToken keeps a new API token under the hash of its secret.
func (s *Store) AddToken(ctx context.Context, token agent.Token, secret []byte) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var count int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM token`).Scan(&count); err != nil {
			return fmt.Errorf("counting tokens: %w", err)
		}
		if count >= maxTokens {
			return agent.Errorf(agent.CodeConflict, "revoke one that is no longer used: hks token list, hks token revoke ID",
				"there are %d API tokens already", count)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO token (id, name, hash, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
			token.ID, token.Name, secret, millis(token.CreatedAt), millis(token.UsedAt), millis(token.ExpiresAt))
		if err != nil {
			return fmt.Errorf("keeping a token: %w", err)
		}
		return nil
	})
}

const tokenColumns = `SELECT id, name, created_at, used_at, expires_at FROM token `

// Token finds an API token by the hash of its secret.
func (s *Store) Token(ctx context.Context, secret []byte) (agent.Token, bool, error) {
	token, err := scanToken(s.db.QueryRowContext(ctx, tokenColumns+`WHERE hash = ?`, secret))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Token{}, false, nil
	}
	return token, err == nil, err
}

// Tokens lists the API tokens, newest first, without their secrets.
func (s *Store) Tokens(ctx context.Context) ([]agent.Token, error) {
	return queryAll(ctx, s, "tokens", scanToken, tokenColumns+`ORDER BY created_at DESC, id`)
}

// TouchToken records that a token was used now.
func (s *Store) TouchToken(ctx context.Context, id string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE token SET used_at = ? WHERE id = ?`, millis(s.cfg.Now()), id); err != nil {
		return fmt.Errorf("recording a token's use: %w", err)
	}
	return nil
}

// RemoveToken revokes a token and tells whether there was one.
func (s *Store) RemoveToken(ctx context.Context, id string) (bool, error) {
	result, err := s.db.ExecContext(ctx, `DELETE FROM token WHERE id = ?`, id)
	if err != nil {
		return false, fmt.Errorf("revoking a token: %w", err)
	}
	count, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("revoking a token: %w", err)
	}
	return count > 0, nil
}

// rower is a database or a transaction.
type rower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) setupLink(ctx context.Context, db rower, hash []byte) (time.Time, bool, error) {
	var (
		kept []byte
		ends int64
	)
	err := db.QueryRowContext(ctx, `SELECT hash, expires_at FROM setup_link WHERE id = 1`).Scan(&kept, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading the set-up link: %w", err)
	}
	expires := fromMillis(ends)
	if subtle.ConstantTimeCompare(kept, hash) != 1 || !s.cfg.Now().Before(expires) {
		return time.Time{}, false, nil
	}
	return expires, true, nil
}

func refuseOwner(ctx context.Context, tx *sql.Tx) error {
	var owners int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM owner`).Scan(&owners); err != nil {
		return fmt.Errorf("looking for an owner: %w", err)
	}
	if owners > 0 {
		return &agent.Error{Code: agent.CodeConflict, Message: "this appliance is set up already", Fix: "log in with the owner's password"}
	}
	return nil
}

func insertSession(ctx context.Context, tx *sql.Tx, session Session, secret []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO session (id, hash, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
		session.ID, secret, millis(session.CreatedAt), millis(session.UsedAt), millis(session.ExpiresAt))
	if err != nil {
		return fmt.Errorf("keeping a session: %w", err)
	}
	return nil
}

func scanToken(row scanner) (agent.Token, error) {
	var (
		token               agent.Token
		created, used, ends int64
	)
	if err := row.Scan(&token.ID, &token.Name, &created, &used, &ends); err != nil {
		return agent.Token{}, fmt.Errorf("reading a token: %w", err)
	}
	token.CreatedAt, token.UsedAt, token.ExpiresAt = fromMillis(created), fromMillis(used), fromMillis(ends)
	return token, nil
}
