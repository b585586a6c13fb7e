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

// Function is what is kept of a function.
type Function struct {
	Name      string
	Active    int // version that serves; 0: none
	Revision  int // of version and environment together
	Key       []byte
	Env       map[string]string
	CreatedAt time.Time
}

// PutFunction makes a function, unless it is there.
func (s *Store) PutFunction(ctx context.Context, name string, key []byte) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO function (name, key, env, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		name, s.seal.seal("function-key/"+name, key), s.seal.seal("function/"+name, []byte("{}")), millis(s.cfg.Now()))
	if err != nil {
		return fmt.Errorf("keeping function %s: %w", name, err)
	}
	return nil
}

// Functions lists the functions, by name.
func (s *Store) Functions(ctx context.Context) ([]Function, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, active, revision, key, env, created_at FROM function ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("listing functions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []Function
	for rows.Next() {
		var f Function
		var key, env []byte
		var created int64
		if err := rows.Scan(&f.Name, &f.Active, &f.Revision, &key, &env, &created); err != nil {
			return nil, fmt.Errorf("reading a function: %w", err)
		}
		f.CreatedAt = fromMillis(created)
		if f.Key, err = s.seal.open("function-key/"+f.Name, key); err != nil {
			return nil, fmt.Errorf("reading the key of function %s: %w", f.Name, err)
		}
		plain, err := s.seal.open("function/"+f.Name, env)
		if err == nil {
			err = json.Unmarshal(plain, &f.Env)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the environment of function %s: %w", f.Name, err)
		}
		list = append(list, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing functions: %w", err)
	}
	return list, nil
}

// SetFunctionEnv replaces the environment of a function.
func (s *Store) SetFunctionEnv(ctx context.Context, name string, env map[string]string) error {
	data, err := json.Marshal(env)
	if err != nil {
		return fmt.Errorf("writing an environment: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE function SET env = ?, revision = revision + 1 WHERE name = ?`, s.seal.seal("function/"+name, data), name); err != nil {
		return fmt.Errorf("keeping the environment of function %s: %w", name, err)
	}
	return nil
}

// DeleteFunction lets go of a function with all that is kept of it.
func (s *Store) DeleteFunction(ctx context.Context, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{`DELETE FROM function_letter WHERE function = ?`, `DELETE FROM function_version WHERE function = ?`, `DELETE FROM function WHERE name = ?`} {
			if _, err := tx.ExecContext(ctx, table, name); err != nil {
				return fmt.Errorf("deleting function %s: %w", name, err)
			}
		}
		return nil
	})
}

// AddFunctionVersion accepts a version with the next number. Place is called
// before it is kept: what it does is there when the version is.
func (s *Store) AddFunctionVersion(ctx context.Context, v agent.FunctionVersion, place func(number int) error) (agent.FunctionVersion, error) {
	spec, err := json.Marshal(v.Spec)
	if err != nil {
		return v, fmt.Errorf("writing a version: %w", err)
	}
	v.Status, v.CreatedAt = agent.FunctionPending, fromMillis(millis(s.cfg.Now()))
	err = s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO function_version (function, number, status, spec, by_whom, created_at)
			VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM function_version WHERE function = ?), ?, ?, ?, ?) RETURNING number`,
			v.Function, v.Function, string(v.Status), string(spec), v.By, millis(v.CreatedAt)).Scan(&v.Number)
		if err != nil {
			return fmt.Errorf("keeping a version of %s: %w", v.Function, err)
		}
		return place(v.Number)
	})
	return v, err
}

// FunctionVersions lists the versions of a function, newest first; of all
// functions when name is empty.
func (s *Store) FunctionVersions(ctx context.Context, name string) ([]agent.FunctionVersion, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT function, number, status, spec, digest, failure, by_whom, created_at FROM function_version
		WHERE ? = '' OR function = ? ORDER BY function, number DESC`, name, name)
	if err != nil {
		return nil, fmt.Errorf("listing versions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []agent.FunctionVersion
	for rows.Next() {
		var v agent.FunctionVersion
		var spec, failure string
		var created int64
		if err := rows.Scan(&v.Function, &v.Number, &v.Status, &spec, &v.Digest, &failure, &v.By, &created); err != nil {
			return nil, fmt.Errorf("reading a version: %w", err)
		}
		v.CreatedAt = fromMillis(created)
		err := json.Unmarshal([]byte(spec), &v.Spec)
		if failure != "" {
			v.Failure = new(agent.Failure)
			err = errors.Join(err, json.Unmarshal([]byte(failure), v.Failure))
		}
		if err != nil {
			return nil, fmt.Errorf("reading version %d of %s: %w", v.Number, v.Function, err)
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing versions: %w", err)
	}
	return list, nil
}

// UpdateFunctionVersion keeps how far a version is.
func (s *Store) UpdateFunctionVersion(ctx context.Context, v agent.FunctionVersion) error {
	failure := ""
	if v.Failure != nil {
		data, err := json.Marshal(v.Failure)
		if err != nil {
			return fmt.Errorf("writing a failure: %w", err)
		}
		failure = string(data)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE function_version SET status = ?, digest = ?, failure = ? WHERE function = ? AND number = ?`,
		string(v.Status), v.Digest, failure, v.Function, v.Number); err != nil {
		return fmt.Errorf("keeping version %d of %s: %w", v.Number, v.Function, err)
	}
	return nil
}

// ActivateFunction has a version serve; it is ready from then on.
func (s *Store) ActivateFunction(ctx context.Context, v agent.FunctionVersion) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE function_version SET status = ?, digest = ?, failure = '' WHERE function = ? AND number = ?`,
			string(agent.FunctionReady), v.Digest, v.Function, v.Number); err != nil {
			return fmt.Errorf("keeping version %d of %s: %w", v.Number, v.Function, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE function SET active = ?, revision = revision + 1 WHERE name = ?`, v.Number, v.Function); err != nil {
			return fmt.Errorf("switching %s to version %d: %w", v.Function, v.Number, err)
		}
		return nil
	})
}
