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

// Domain is what is kept of a custom domain.
type Domain struct {
	Host        string
	App         string
	Environment agent.Environment
	Component   string // empty: all routes of the app
	Chain       string // the owner's own certificate, PEM; empty: none
	Key         string // and its key, PEM
	Seen        agent.Domain
	RetryAt     time.Time // when the owner last asked for another try
	By          string
	CreatedAt   time.Time
}

// ErrDomainTaken says that a host is a custom domain already.
var ErrDomainTaken = errors.New("the host is a domain already")

const domainColumns = `host, app, environment, component, chain, key, seen, retry_at, by_whom, created_at`

// AddDomain keeps a new domain and notes that the routes of its app changed.
func (s *Store) AddDomain(ctx context.Context, d Domain) (Domain, error) {
	d.CreatedAt = s.cfg.Now().UTC().Truncate(time.Millisecond)
	err := s.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO domain (host, app, environment, component, by_whom, created_at)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, d.Host, d.App, string(d.Environment), d.Component, d.By, millis(d.CreatedAt))
		if err != nil {
			return fmt.Errorf("keeping a domain: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrDomainTaken)
		}
		return changeRouting(ctx, tx, d.App, d.Environment)
	})
	return d, err
}

// RemoveDomain lets go of a domain and notes that the routes of its app changed.
func (s *Store) RemoveDomain(ctx context.Context, host string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var app, env string
		err := tx.QueryRowContext(ctx, `DELETE FROM domain WHERE host = ? RETURNING app, environment`, host).Scan(&app, &env)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("letting go of a domain: %w", err)
		}
		return changeRouting(ctx, tx, app, agent.Environment(env))
	})
}

// Domains lists all domains by host, with their keys.
func (s *Store) Domains(ctx context.Context) ([]Domain, error) {
	return s.domains(ctx, `SELECT `+domainColumns+` FROM domain ORDER BY host`)
}

// AppDomains lists the domains of one app by host.
func (s *Store) AppDomains(ctx context.Context, app string, env agent.Environment) ([]Domain, error) {
	return s.domains(ctx, `SELECT `+domainColumns+` FROM domain WHERE app = ? AND environment = ? ORDER BY host`, app, string(env))
}

// Domain returns one domain; ok is false when there is none.
func (s *Store) Domain(ctx context.Context, host string) (d Domain, ok bool, err error) {
	domains, err := s.domains(ctx, `SELECT `+domainColumns+` FROM domain WHERE host = ?`, host)
	if err != nil || len(domains) == 0 {
		return Domain{}, false, err
	}
	return domains[0], true, nil
}

func (s *Store) domains(ctx context.Context, query string, args ...any) ([]Domain, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing domains: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var domains []Domain
	for rows.Next() {
		var (
			d              Domain
			sealed         []byte
			seen           string
			retry, created int64
		)
		if err := rows.Scan(&d.Host, &d.App, &d.Environment, &d.Component, &d.Chain, &sealed, &seen, &retry, &d.By, &created); err != nil {
			return nil, fmt.Errorf("reading a domain: %w", err)
		}
		if err := json.Unmarshal([]byte(seen), &d.Seen); err != nil {
			return nil, fmt.Errorf("reading the domain %s: %w", d.Host, err)
		}
		if len(sealed) > 0 {
			plain, err := s.seal.open(domainLabel(d.Host), sealed)
			if err != nil {
				return nil, err
			}
			d.Key = string(plain)
		}
		d.RetryAt, d.CreatedAt = fromMillis(retry), fromMillis(created)
		domains = append(domains, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing domains: %w", err)
	}
	return domains, nil
}

// domainLabel binds a sealed key to its domain.
func domainLabel(host string) string { return "domain/" + host }

// PutDomainCertificate keeps the owner's own certificate of a domain; an empty
// chain lets go of it.
func (s *Store) PutDomainCertificate(ctx context.Context, host, chain, key string) error {
	sealed := []byte{}
	if key != "" {
		sealed = s.seal.seal(domainLabel(host), []byte(key))
	}
	return s.changeDomain(ctx, host, `chain = ?, key = ?`, chain, sealed)
}

// SeeDomain keeps the last look at a domain.
func (s *Store) SeeDomain(ctx context.Context, host string, seen agent.Domain) error {
	data, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("writing what was seen of %s: %w", host, err)
	}
	return s.changeDomain(ctx, host, `seen = ?`, string(data))
}

// RetryDomain notes that the owner asked for another try now.
func (s *Store) RetryDomain(ctx context.Context, host string) error {
	return s.changeDomain(ctx, host, `retry_at = ?`, millis(s.cfg.Now()))
}

func (s *Store) changeDomain(ctx context.Context, host, set string, values ...any) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE domain SET `+set+` WHERE host = ?`, append(values, host)...); err != nil {
		return fmt.Errorf("changing the domain %s: %w", host, err)
	}
	return nil
}

// SetMaintenance turns the maintenance page of an app on or off.
func (s *Store) SetMaintenance(ctx context.Context, app string, env agent.Environment, m agent.Maintenance) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing a maintenance page: %w", err)
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.changeApp(ctx, tx, app, env, `maintenance = ?`, string(text)); err != nil {
			return err
		}
		return changeRouting(ctx, tx, app, env)
	})
}

func changeRouting(ctx context.Context, tx *sql.Tx, app string, env agent.Environment) error {
	if _, err := tx.ExecContext(ctx, `UPDATE app SET routing = routing + 1 WHERE name = ? AND environment = ?`, app, string(env)); err != nil {
		return fmt.Errorf("changing the routes of %s: %w", app, err)
	}
	return nil
}

// Routed notes that the cluster was told an app's routes as of the count.
func (s *Store) Routed(ctx context.Context, app string, env agent.Environment, routing int) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE app SET routed = ? WHERE name = ? AND environment = ?`, routing, app, string(env)); err != nil {
		return fmt.Errorf("noting the routes of %s: %w", app, err)
	}
	return nil
}
