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

// What the owner asked of an app.
const (
	DesiredRunning = "running"
	DesiredStopped = "stopped"
	DesiredDeleted = "deleted"
)

// App is what is kept of an app beside its releases.
type App struct {
	Name        string
	Environment agent.Environment
	Desired     string
	Scale       map[string]agent.Scale // instances asked for, by component; missing: 1
	Serving     int                    // the release that serves; 0: none yet
	RestartedAt time.Time              // zero: never by hand
	Maintenance *agent.Maintenance     // nil: the app answers itself, and the cluster knows
	Routing     int                    // counts changes of domains and maintenance
	Routed      int                    // the count that the cluster was told
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Replicas is how many instances of a component are asked for.
func (a App) Replicas(component string) agent.Scale {
	if n, ok := a.Scale[component]; ok {
		return n
	}
	return agent.Fixed(1)
}

// AppState is an app with the two releases that tell its status. Values of
// environment variables and kept log lines are left out.
type AppState struct {
	App
	Newest  AppRelease // always there
	Current AppRelease // the one that serves; Number 0: none yet
}

const appColumns = `a.name, a.environment, a.desired, a.scale, a.serving, a.restarted_at, a.created_at, a.updated_at, a.maintenance, a.routing, a.routed`

// releases are told apart by role, as an app's newest one may also serve.
const appStates = `SELECT ` + appColumns + `, ` + releaseBrief + `
	FROM app a JOIN release r ON r.app = a.name AND r.environment = a.environment
	WHERE (r.number = a.serving OR r.number = (SELECT max(number) FROM release m WHERE m.app = a.name AND m.environment = a.environment))`

// Apps lists all apps by name and environment.
func (s *Store) Apps(ctx context.Context) ([]AppState, error) {
	return s.appStates(ctx, appStates+` ORDER BY a.name, a.environment, r.number`)
}

// App returns one app; ok is false when there is none.
func (s *Store) App(ctx context.Context, name string, env agent.Environment) (state AppState, ok bool, err error) {
	states, err := s.appStates(ctx, appStates+` AND a.name = ? AND a.environment = ? ORDER BY r.number`, name, string(env))
	if err != nil || len(states) == 0 {
		return AppState{}, false, err
	}
	return states[0], true, nil
}

func (s *Store) appStates(ctx context.Context, query string, args ...any) ([]AppState, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var states []AppState
	for rows.Next() {
		var (
			app     App
			release releaseRow
			scale   string
			times   [3]int64
			page    string
		)
		fields := append([]any{&app.Name, &app.Environment, &app.Desired, &scale, &app.Serving, &times[0], &times[1], &times[2], &page, &app.Routing, &app.Routed}, release.fields()...)
		if err := rows.Scan(fields...); err != nil {
			return nil, fmt.Errorf("reading an app: %w", err)
		}
		if err := json.Unmarshal([]byte(scale), &app.Scale); err != nil {
			return nil, fmt.Errorf("reading the scale of %s: %w", app.Name, err)
		}
		if page != "" {
			app.Maintenance = &agent.Maintenance{}
			if err := json.Unmarshal([]byte(page), app.Maintenance); err != nil {
				return nil, fmt.Errorf("reading the maintenance page of %s: %w", app.Name, err)
			}
			if app.Maintenance.Applied = app.Routed == app.Routing; app.Maintenance.Applied && !app.Maintenance.On {
				app.Maintenance = nil
			}
		}
		app.RestartedAt, app.CreatedAt, app.UpdatedAt = fromMillis(times[0]), fromMillis(times[1]), fromMillis(times[2])
		r, err := release.release()
		if err != nil {
			return nil, err
		}
		n := len(states)
		if n == 0 || states[n-1].Name != app.Name || states[n-1].Environment != app.Environment {
			states = append(states, AppState{App: app})
			n++
		}
		states[n-1].Newest = r // rows come by number
		if r.Number == app.Serving {
			states[n-1].Current = r
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing apps: %w", err)
	}
	return states, nil
}

// HasApps tells whether there is any app, one being deleted included.
func (s *Store) HasApps(ctx context.Context) (bool, error) {
	var some bool
	if err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM app)`).Scan(&some); err != nil {
		return false, fmt.Errorf("counting apps: %w", err)
	}
	return some, nil
}

// ErrNoApp says that the app to change is not there, or is being deleted.
var ErrNoApp = errors.New("no such app, or it is being deleted")

// StopApp asks for an app without instances and cancels its unfinished
// releases, whose numbers are returned.
func (s *Store) StopApp(ctx context.Context, name string, env agent.Environment) (cancelled []int, err error) {
	return s.changeDesired(ctx, name, env, DesiredStopped)
}

// DeleteApp asks for an app to be taken away and cancels its unfinished
// releases, whose numbers are returned. ForgetApp is the end of it.
func (s *Store) DeleteApp(ctx context.Context, name string, env agent.Environment) (cancelled []int, err error) {
	return s.changeDesired(ctx, name, env, DesiredDeleted)
}

// StartApp asks for a stopped app to run again.
func (s *Store) StartApp(ctx context.Context, name string, env agent.Environment) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		return s.changeApp(ctx, tx, name, env, `desired = ?`, DesiredRunning)
	})
}

// ScaleApp changes how many instances components of an app are to have; those
// not named stay as they are.
func (s *Store) ScaleApp(ctx context.Context, name string, env agent.Environment, replicas map[string]agent.Scale) error {
	return s.tx(ctx, func(tx *sql.Tx) error { return s.scale(ctx, tx, name, env, replicas) })
}

func (s *Store) scale(ctx context.Context, tx *sql.Tx, name string, env agent.Environment, replicas map[string]agent.Scale) error {
	patch, err := json.Marshal(replicas)
	if err != nil {
		return fmt.Errorf("writing a scale: %w", err)
	}
	return s.changeApp(ctx, tx, name, env, `scale = json_patch(scale, ?)`, string(patch))
}

// RestartApp asks for new instances of an app.
func (s *Store) RestartApp(ctx context.Context, name string, env agent.Environment) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		return s.changeApp(ctx, tx, name, env, `restarted_at = ?`, millis(s.cfg.Now()))
	})
}

// ForgetApp removes an app, its releases and its domains.
func (s *Store) ForgetApp(ctx context.Context, name string, env agent.Environment) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, row := range []string{`DELETE FROM app WHERE name = ? AND environment = ?`, `DELETE FROM domain WHERE app = ? AND environment = ?`} {
			if _, err := tx.ExecContext(ctx, row, name, string(env)); err != nil {
				return fmt.Errorf("forgetting an app: %w", err)
			}
		}
		return nil
	})
}

func (s *Store) changeDesired(ctx context.Context, name string, env agent.Environment, desired string) (cancelled []int, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.changeApp(ctx, tx, name, env, `desired = ?`, desired); err != nil {
			return err
		}
		cancelled, err = s.cancelReleases(ctx, tx, name, env)
		return err
	})
	return cancelled, err
}

// changeApp sets one column. An app that is being deleted stays so.
func (s *Store) changeApp(ctx context.Context, tx *sql.Tx, name string, env agent.Environment, set string, value any) error {
	result, err := tx.ExecContext(ctx, `UPDATE app SET `+set+`, updated_at = ? WHERE name = ? AND environment = ? AND desired <> ?`,
		value, millis(s.cfg.Now()), name, string(env), DesiredDeleted)
	if err != nil {
		return fmt.Errorf("changing an app: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNoApp)
	}
	return nil
}
