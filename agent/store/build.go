package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"hks.dev/hks/agent"
)

// KeptBuilds is how many builds are kept, of all apps together.
const KeptBuilds = 200

const buildColumns = `id, app, environment, status, components, release, by_whom, failure, created_at, started_at, finished_at`

type buildRow struct {
	agent.Build
	components, failure        string
	created, started, finished int64
}

func (r *buildRow) fields() []any {
	return []any{&r.ID, &r.App, &r.Environment, &r.Status, &r.components, &r.Release, &r.By, &r.failure, &r.created, &r.started, &r.finished}
}

func (r *buildRow) build() (agent.Build, error) {
	if err := json.Unmarshal([]byte(r.components), &r.Components); err != nil {
		return agent.Build{}, fmt.Errorf("reading the components of build %d: %w", r.ID, err)
	}
	if r.failure != "" {
		r.Failure = new(agent.Failure)
		if err := json.Unmarshal([]byte(r.failure), r.Failure); err != nil {
			return agent.Build{}, fmt.Errorf("reading the failure of build %d: %w", r.ID, err)
		}
	}
	r.CreatedAt, r.StartedAt, r.FinishedAt = fromMillis(r.created), fromMillis(r.started), fromMillis(r.finished)
	return r.Build, nil
}

// AddBuild accepts a build, with the next id and status pending. Place is
// called with the id before the build is kept: what it does, such as moving
// the source to its place, is there when the build is.
func (s *Store) AddBuild(ctx context.Context, b agent.Build, request agent.BuildRequest, place func(id int64) error) (agent.Build, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return agent.Build{}, fmt.Errorf("writing a build's request: %w", err)
	}
	b.Status, b.CreatedAt = agent.RunPending, fromMillis(millis(s.cfg.Now()))
	err = s.tx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO build (app, environment, status, request, by_whom, created_at) VALUES (?, ?, ?, x'', ?, ?) RETURNING id`,
			b.App, string(b.Environment), string(b.Status), b.By, millis(b.CreatedAt)).Scan(&b.ID)
		if err != nil {
			return fmt.Errorf("keeping a build: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE build SET request = ? WHERE id = ?`, s.seal.seal(buildLabel(b.ID), data), b.ID); err != nil {
			return fmt.Errorf("keeping a build: %w", err)
		}
		return place(b.ID)
	})
	return b, err
}

// Build returns one build; ok is false when there is none.
func (s *Store) Build(ctx context.Context, id int64) (b agent.Build, ok bool, err error) {
	var row buildRow
	err = s.db.QueryRowContext(ctx, `SELECT `+buildColumns+` FROM build WHERE id = ?`, id).Scan(row.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Build{}, false, nil
	}
	if err != nil {
		return agent.Build{}, false, fmt.Errorf("reading build %d: %w", id, err)
	}
	b, err = row.build()
	return b, err == nil, err
}

// BuildRequest returns what a build's release is to be made with.
func (s *Store) BuildRequest(ctx context.Context, id int64) (agent.BuildRequest, error) {
	var (
		sealed  []byte
		request agent.BuildRequest
	)
	if err := s.db.QueryRowContext(ctx, `SELECT request FROM build WHERE id = ?`, id).Scan(&sealed); err != nil {
		return request, fmt.Errorf("reading the request of build %d: %w", id, err)
	}
	data, err := s.seal.open(buildLabel(id), sealed)
	if err == nil {
		err = json.Unmarshal(data, &request)
	}
	if err != nil {
		return request, fmt.Errorf("reading the request of build %d: %w", id, err)
	}
	return request, nil
}

// Builds lists builds, newest first: of one app when it is named, else all.
func (s *Store) Builds(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error) {
	return s.builds(ctx, `WHERE (? = '' OR app = ?) AND (? = '' OR environment = ?) ORDER BY id DESC`, app, app, string(env), string(env))
}

// UnfinishedBuilds lists what is still to be done, oldest first.
func (s *Store) UnfinishedBuilds(ctx context.Context) ([]agent.Build, error) {
	return s.builds(ctx, `WHERE status IN ('pending', 'running') ORDER BY id`)
}

func (s *Store) builds(ctx context.Context, where string, args ...any) ([]agent.Build, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+buildColumns+` FROM build `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("listing builds: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var builds []agent.Build
	for rows.Next() {
		var row buildRow
		if err := rows.Scan(row.fields()...); err != nil {
			return nil, fmt.Errorf("reading a build: %w", err)
		}
		b, err := row.build()
		if err != nil {
			return nil, err
		}
		builds = append(builds, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing builds: %w", err)
	}
	return builds, nil
}

// StartBuild marks a build as running and tells how often that was done by
// now; 0 when it was ended before.
func (s *Store) StartBuild(ctx context.Context, id int64) (attempt int, err error) {
	err = s.db.QueryRowContext(ctx, `UPDATE build SET status = ?, started_at = ?, attempts = attempts + 1
		WHERE id = ? AND status IN ('pending', 'running') RETURNING attempts`,
		string(agent.RunRunning), millis(s.cfg.Now()), id).Scan(&attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("starting build %d: %w", id, err)
	}
	return attempt, nil
}

// PauseBuild takes the last start of a build back: the agent ends it in good
// order, which says nothing of the build.
func (s *Store) PauseBuild(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, `UPDATE build SET attempts = max(attempts - 1, 0) WHERE id = ? AND status IN ('pending', 'running')`, id)
	if err != nil {
		return fmt.Errorf("pausing build %d: %w", id, err)
	}
	return nil
}

// UpdateBuild keeps how far the components of a build are.
func (s *Store) UpdateBuild(ctx context.Context, id int64, components []agent.BuildComponent) error {
	data, err := json.Marshal(components)
	if err != nil {
		return fmt.Errorf("writing the components of build %d: %w", id, err)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE build SET components = ? WHERE id = ?`, string(data), id); err != nil {
		return fmt.Errorf("keeping the components of build %d: %w", id, err)
	}
	return nil
}

// FinishBuild ends a build, lets go of what its release was to be made with
// and of the oldest builds, whose ids are returned. It returns false, and
// leaves the build as it is, when that was ended before.
func (s *Store) FinishBuild(ctx context.Context, id int64, status agent.RunStatus, release int, failure *agent.Failure) (finished bool, gone []int64, err error) {
	text := ""
	if failure != nil {
		data, err := json.Marshal(failure)
		if err != nil {
			return false, nil, fmt.Errorf("writing a failure: %w", err)
		}
		text = string(data)
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE build SET status = ?, release = ?, failure = ?, request = x'', finished_at = ? WHERE id = ? AND status IN ('pending', 'running')`,
			string(status), release, text, millis(s.cfg.Now()), id)
		if err != nil {
			return fmt.Errorf("finishing build %d: %w", id, err)
		}
		n, err := result.RowsAffected()
		if finished = n > 0; err != nil {
			return err
		}
		gone, err = pruneBuilds(ctx, tx, id)
		return err
	})
	return finished, gone, err
}

// endBuild ends a build in the transaction of the release that comes of it.
func endBuild(ctx context.Context, tx *sql.Tx, id int64, release int, now int64) error {
	result, err := tx.ExecContext(ctx, `UPDATE build SET status = ?, release = ?, request = x'', finished_at = ? WHERE id = ? AND status IN ('pending', 'running')`,
		string(agent.RunSucceeded), release, now, id)
	if err != nil {
		return fmt.Errorf("finishing build %d: %w", id, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrBuildEnded)
	}
	return nil
}

// pruneBuilds lets go of the oldest builds, but for the one that ends now: its
// end is still to be told.
func pruneBuilds(ctx context.Context, tx *sql.Tx, ends int64) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM build WHERE status NOT IN ('pending', 'running') AND id != ?
		AND id <= (SELECT max(id) FROM build) - ? RETURNING id`, ends, KeptBuilds)
	if err != nil {
		return nil, fmt.Errorf("letting go of old builds: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("letting go of old builds: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// buildLabel binds a sealed request to its build.
func buildLabel(id int64) string { return "build/" + strconv.FormatInt(id, 10) }
