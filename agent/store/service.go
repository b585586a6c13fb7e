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

// Service is an installed service as it is kept.
type Service struct {
	Name, Chart, Version string
	Archive              string // file of a chart of the owner's own; empty: from the catalogue
	Engine, Image        string
	Values               map[string]any
	Storage              int64 // bytes
	User                 string
	OldUsers             []string // to be dropped
	Status               agent.ServiceStatus
	By                   string
	CreatedAt, KeptUntil time.Time
	Place                string // see ServicePlace; empty: the shared pool
}

const serviceColumns = `name, chart, version, archive, engine, image, chart_values, storage, user_name, old_users, status, by_whom, created_at, kept_until`

func scanService(row scanner) (Service, error) {
	var (
		s             Service
		values, users string
		created, kept int64
	)
	err := row.Scan(&s.Name, &s.Chart, &s.Version, &s.Archive, &s.Engine, &s.Image, &values, &s.Storage, &s.User, &users, &s.Status, &s.By, &created, &kept)
	if err != nil {
		return Service{}, err
	}
	s.CreatedAt, s.KeptUntil = fromMillis(created), fromMillis(kept)
	if err := errors.Join(json.Unmarshal([]byte(values), &s.Values), json.Unmarshal([]byte(users), &s.OldUsers)); err != nil {
		return Service{}, fmt.Errorf("reading the service %s: %w", s.Name, err)
	}
	return s, nil
}

// Service returns one service; ok is false when there is none.
func (s *Store) Service(ctx context.Context, name string) (service Service, ok bool, err error) {
	service, err = scanService(s.db.QueryRowContext(ctx, `SELECT `+serviceColumns+` FROM service WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return Service{}, false, nil
	}
	if err != nil {
		return Service{}, false, fmt.Errorf("reading the service %s: %w", name, err)
	}
	service.Place, err = s.servicePlace(ctx, name)
	return service, err == nil, err
}

// Services lists all services by name.
func (s *Store) Services(ctx context.Context) ([]Service, error) {
	return queryAll(ctx, s, "services", scanService, `SELECT `+serviceColumns+` FROM service ORDER BY name`)
}

// HasServices tells whether any service, or the volume of one, is there.
func (s *Store) HasServices(ctx context.Context) (bool, error) {
	var n int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM service`).Scan(&n); err != nil {
		return false, fmt.Errorf("counting services: %w", err)
	}
	return n > 0, nil
}

// ServiceImages lists the images that services need.
func (s *Store) ServiceImages(ctx context.Context) ([]agent.ImageUse, error) {
	services, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	var uses []agent.ImageUse
	for _, service := range services {
		if service.Image != "" {
			uses = append(uses, agent.ImageUse{App: service.Name, Environment: agent.Production, Image: service.Image})
		}
	}
	return uses, nil
}

// AddService keeps a new service, or one that takes the place of a removed
// one, with the job that installs it.
func (s *Store) AddService(ctx context.Context, service Service, args any) (agent.ServiceJob, error) {
	var job agent.ServiceJob
	service.CreatedAt = s.cfg.Now()
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if err := putService(ctx, tx, service); err != nil {
			return err
		}
		var err error
		job, err = s.addJob(ctx, tx, agent.ServiceJob{Service: service.Name, Kind: "install", By: service.By}, args)
		return err
	})
	return job, err
}

// PutService keeps a service as it is now.
func (s *Store) PutService(ctx context.Context, service Service) error {
	return s.tx(ctx, func(tx *sql.Tx) error { return putService(ctx, tx, service) })
}

func putService(ctx context.Context, tx *sql.Tx, service Service) error {
	values, err := json.Marshal(service.Values)
	if err != nil {
		return fmt.Errorf("writing the service %s: %w", service.Name, err)
	}
	if service.OldUsers == nil {
		service.OldUsers = []string{}
	}
	users, err := json.Marshal(service.OldUsers)
	if err != nil {
		return fmt.Errorf("writing the service %s: %w", service.Name, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO service (`+serviceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		service.Name, service.Chart, service.Version, service.Archive, service.Engine, service.Image, string(values), service.Storage,
		service.User, string(users), string(service.Status), service.By, millis(service.CreatedAt), millis(service.KeptUntil))
	if err != nil {
		return fmt.Errorf("keeping the service %s: %w", service.Name, err)
	}
	return nil
}

// ForgetService removes all that is kept of a service.
func (s *Store) ForgetService(ctx context.Context, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`DELETE FROM service_binding WHERE service = ?`, `DELETE FROM service_backup WHERE service = ?`, `DELETE FROM service WHERE name = ?`,
		} {
			if _, err := tx.ExecContext(ctx, statement, name); err != nil {
				return fmt.Errorf("forgetting the service %s: %w", name, err)
			}
		}
		return nil
	})
}

// Bindings lists the bindings of a service, or of all when name is empty.
func (s *Store) Bindings(ctx context.Context, name string) ([]agent.Binding, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT service, app, environment, prefix, names, release, created_at FROM service_binding
		WHERE ? = '' OR service = ? ORDER BY service, app, environment`, name, name)
	if err != nil {
		return nil, fmt.Errorf("listing bindings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	bindings := []agent.Binding{}
	for rows.Next() {
		var (
			b       agent.Binding
			names   string
			created int64
		)
		if err := rows.Scan(&b.Service, &b.App, &b.Environment, &b.Prefix, &names, &b.Release, &created); err != nil {
			return nil, fmt.Errorf("reading a binding: %w", err)
		}
		if err := json.Unmarshal([]byte(names), &b.Names); err != nil {
			return nil, fmt.Errorf("reading a binding: %w", err)
		}
		b.CreatedAt = fromMillis(created)
		bindings = append(bindings, b)
	}
	return bindings, rows.Err()
}

// PutBinding keeps a binding.
func (s *Store) PutBinding(ctx context.Context, b agent.Binding) error {
	names, err := json.Marshal(b.Names)
	if err != nil {
		return fmt.Errorf("writing a binding: %w", err)
	}
	if b.CreatedAt.IsZero() {
		b.CreatedAt = s.cfg.Now()
	}
	_, err = s.db.ExecContext(ctx, `INSERT OR REPLACE INTO service_binding (service, app, environment, prefix, names, release, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		b.Service, b.App, string(b.Environment), b.Prefix, string(names), b.Release, millis(b.CreatedAt))
	if err != nil {
		return fmt.Errorf("keeping a binding: %w", err)
	}
	return nil
}

// RemoveBinding forgets a binding.
func (s *Store) RemoveBinding(ctx context.Context, service, app string, env agent.Environment) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM service_binding WHERE service = ? AND app = ? AND environment = ?`, service, app, string(env)); err != nil {
		return fmt.Errorf("forgetting a binding: %w", err)
	}
	return nil
}
