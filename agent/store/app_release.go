package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"hks.dev/hks/agent"
)

// KeptReleases is how many releases of an app are kept; the one that serves
// is kept whatever its age.
const KeptReleases = 50

// AppRelease is a release with what pods are given as their images.
type AppRelease struct {
	agent.Release
	Images map[string]Image // by component; missing until it was resolved
	Build  int64            // the build that it comes of, which ends with it; for AddRelease only
}

// ErrBuildEnded says that the build which a release comes of has ended
// otherwise, such as cancelled.
var ErrBuildEnded = errors.New("the build has ended already")

// Image is what the image of a component was resolved to.
type Image struct {
	Pull   string `json:"pull"`   // reference that pods are given
	Digest string `json:"digest"` // sha256:...; empty until a node has pulled it
}

// Columns of a release. The brief form leaves out the kept log lines.
const (
	releaseColumns = `r.app, r.environment, r.number, r.spec, r.images, r.kind, r.from_number, r.by_whom, r.status, r.created_at, r.finished_at, `
	releaseFull    = releaseColumns + `r.failure`
	releaseBrief   = releaseColumns + `CASE r.failure WHEN '' THEN '' ELSE json_remove(r.failure, '$.logs') END`
)

type releaseRow struct {
	AppRelease
	spec, images      string
	failure           string
	created, finished int64
}

func (r *releaseRow) fields() []any {
	return []any{&r.App, &r.Environment, &r.Number, &r.spec, &r.images, &r.Kind, &r.From, &r.By, &r.Status, &r.created, &r.finished, &r.failure}
}

func (r *releaseRow) release() (AppRelease, error) {
	if err := json.Unmarshal([]byte(r.spec), &r.Spec); err != nil {
		return AppRelease{}, fmt.Errorf("reading the configuration of release %d of %s: %w", r.Number, r.App, err)
	}
	if err := json.Unmarshal([]byte(r.images), &r.Images); err != nil {
		return AppRelease{}, fmt.Errorf("reading the images of release %d of %s: %w", r.Number, r.App, err)
	}
	r.Digests = digestsOf(r.Images)
	if r.failure != "" {
		r.Failure = new(agent.Failure)
		if err := json.Unmarshal([]byte(r.failure), r.Failure); err != nil {
			return AppRelease{}, fmt.Errorf("reading the failure of release %d of %s: %w", r.Number, r.App, err)
		}
	}
	r.CreatedAt, r.FinishedAt = fromMillis(r.created), fromMillis(r.finished)
	return r.AppRelease, nil
}

// digestsOf are the digests that are known of images; nil when none is.
func digestsOf(images map[string]Image) map[string]string {
	var digests map[string]string
	for component, image := range images {
		if image.Digest != "" {
			if digests == nil {
				digests = make(map[string]string, len(images))
			}
			digests[component] = image.Digest
		}
	}
	return digests
}

// AddRelease accepts a release: it gets the next number and status pending,
// makes the app where there is none, asks for it to run, and cancels the
// releases that were unfinished, whose numbers are returned. Replicas changes
// how many instances the components named are to have.
func (s *Store) AddRelease(ctx context.Context, r AppRelease, replicas map[string]agent.Scale) (accepted AppRelease, cancelled []int, err error) {
	now := fromMillis(millis(s.cfg.Now()))
	r.Status, r.Failure, r.CreatedAt, r.FinishedAt = agent.ReleasePending, nil, now, fromMillis(0)
	err = s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO app (name, environment, desired, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, r.App, string(r.Environment), DesiredRunning, millis(now), millis(now))
		if err != nil {
			return fmt.Errorf("making an app: %w", err)
		}
		if err := s.changeApp(ctx, tx, r.App, r.Environment, `desired = ?`, DesiredRunning); err != nil {
			return err
		}
		if replicas != nil {
			if err := s.scale(ctx, tx, r.App, r.Environment, replicas); err != nil {
				return err
			}
		}
		if cancelled, err = s.cancelReleases(ctx, tx, r.App, r.Environment); err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) + 1 FROM release WHERE app = ? AND environment = ?`,
			r.App, string(r.Environment)).Scan(&r.Number)
		if err != nil {
			return fmt.Errorf("numbering a release: %w", err)
		}
		if err := s.insertRelease(ctx, tx, r); err != nil || r.Build == 0 {
			return err
		}
		return endBuild(ctx, tx, r.Build, r.Number, millis(now))
	})
	r.Spec.Env, r.Digests = hidden(r.Spec.Env), digestsOf(r.Images)
	return r, cancelled, err
}

func (s *Store) insertRelease(ctx context.Context, tx *sql.Tx, r AppRelease) error {
	env, err := json.Marshal(r.Spec.Env)
	if err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	shown := r.Spec
	shown.Env = hidden(shown.Env)
	spec, err := json.Marshal(shown)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	images, err := json.Marshal(r.Images)
	if err != nil {
		return fmt.Errorf("writing the images: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO release (app, environment, number, spec, env, images, kind, from_number, by_whom, status, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.App, string(r.Environment), r.Number, string(spec), s.seal.seal(envLabel(r.Release), env), string(images),
		r.Kind, r.From, r.By, string(r.Status), millis(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("keeping a release: %w", err)
	}
	return nil
}

// Releases lists what is kept of an app's releases, newest first, with the
// kept log lines and without values of environment variables.
func (s *Store) Releases(ctx context.Context, app string, env agent.Environment) ([]AppRelease, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+releaseFull+` FROM release r WHERE app = ? AND environment = ? ORDER BY number DESC`, app, string(env))
	if err != nil {
		return nil, fmt.Errorf("listing releases: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var releases []AppRelease
	for rows.Next() {
		var row releaseRow
		if err := rows.Scan(row.fields()...); err != nil {
			return nil, fmt.Errorf("reading a release: %w", err)
		}
		r, err := row.release()
		if err != nil {
			return nil, err
		}
		releases = append(releases, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing releases: %w", err)
	}
	return releases, nil
}

// Release returns one release, with the kept log lines and without values of
// environment variables; ok is false when there is none.
func (s *Store) Release(ctx context.Context, app string, env agent.Environment, number int) (r AppRelease, ok bool, err error) {
	return s.release(ctx, app, env, number, false)
}

// OpenRelease is Release with the values of environment variables.
func (s *Store) OpenRelease(ctx context.Context, app string, env agent.Environment, number int) (r AppRelease, ok bool, err error) {
	return s.release(ctx, app, env, number, true)
}

func (s *Store) release(ctx context.Context, app string, env agent.Environment, number int, open bool) (AppRelease, bool, error) {
	var (
		row    releaseRow
		sealed []byte
	)
	err := s.db.QueryRowContext(ctx, `SELECT `+releaseFull+`, r.env FROM release r WHERE app = ? AND environment = ? AND number = ?`,
		app, string(env), number).Scan(append(row.fields(), &sealed)...)
	if errors.Is(err, sql.ErrNoRows) {
		return AppRelease{}, false, nil
	}
	if err != nil {
		return AppRelease{}, false, fmt.Errorf("reading release %d of %s: %w", number, app, err)
	}
	r, err := row.release()
	if err != nil || !open {
		return r, err == nil, err
	}
	plain, err := s.seal.open(envLabel(r.Release), sealed)
	if err != nil {
		return AppRelease{}, false, fmt.Errorf("reading the environment of release %d of %s: %w", number, app, err)
	}
	r.Spec.Env = nil
	if err := json.Unmarshal(plain, &r.Spec.Env); err != nil {
		return AppRelease{}, false, fmt.Errorf("reading the environment of release %d of %s: %w", number, app, err)
	}
	return r, true, nil
}

// PinImage keeps what the image of a component of a release was resolved to.
func (s *Store) PinImage(ctx context.Context, app string, env agent.Environment, number int, component string, image Image) error {
	patch, err := json.Marshal(map[string]Image{component: image})
	if err != nil {
		return fmt.Errorf("writing an image: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `UPDATE release SET images = json_patch(images, ?) WHERE app = ? AND environment = ? AND number = ?`,
		string(patch), app, string(env), number)
	if err != nil {
		return fmt.Errorf("keeping the image of release %d of %s: %w", number, app, err)
	}
	return nil
}

// BeginRelease marks a pending release as being rolled out.
func (s *Store) BeginRelease(ctx context.Context, app string, env agent.Environment, number int) error {
	_, err := s.db.ExecContext(ctx, `UPDATE release SET status = ? WHERE app = ? AND environment = ? AND number = ? AND status = ?`,
		string(agent.ReleaseDeploying), app, string(env), number, string(agent.ReleasePending))
	if err != nil {
		return fmt.Errorf("beginning release %d of %s: %w", number, app, err)
	}
	return nil
}

// FinishRelease ends an unfinished release: with no failure it serves from
// now on. It returns false, and changes nothing, when the release was ended
// before, such as cancelled by a newer one.
func (s *Store) FinishRelease(ctx context.Context, app string, env agent.Environment, number int, failure *agent.Failure) (finished bool, err error) {
	status, text := agent.ReleaseSucceeded, ""
	if failure != nil {
		data, err := json.Marshal(failure)
		if err != nil {
			return false, fmt.Errorf("writing a failure: %w", err)
		}
		status, text = agent.ReleaseFailed, string(data)
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		now := millis(s.cfg.Now())
		result, err := tx.ExecContext(ctx, `UPDATE release SET status = ?, failure = ?, finished_at = ?
			WHERE app = ? AND environment = ? AND number = ? AND status IN ('pending', 'deploying')`,
			string(status), text, now, app, string(env), number)
		if err != nil {
			return fmt.Errorf("finishing release %d of %s: %w", number, app, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("finishing release %d of %s: %w", number, app, err)
		}
		if finished = n > 0; !finished {
			return nil
		}
		serving := number
		if failure != nil {
			serving = 0
		}
		_, err = tx.ExecContext(ctx, `UPDATE app SET serving = CASE ? WHEN 0 THEN serving ELSE ? END, updated_at = ? WHERE name = ? AND environment = ?`,
			serving, serving, now, app, string(env))
		if err != nil {
			return fmt.Errorf("finishing release %d of %s: %w", number, app, err)
		}
		return pruneReleases(ctx, tx, app, env, number)
	})
	return finished, err
}

// cancelReleases ends the unfinished releases of an app.
func (s *Store) cancelReleases(ctx context.Context, tx *sql.Tx, app string, env agent.Environment) ([]int, error) {
	rows, err := tx.QueryContext(ctx, `UPDATE release SET status = ?, finished_at = ?
		WHERE app = ? AND environment = ? AND status IN ('pending', 'deploying') RETURNING number`,
		string(agent.ReleaseCancelled), millis(s.cfg.Now()), app, string(env))
	if err != nil {
		return nil, fmt.Errorf("cancelling releases of %s: %w", app, err)
	}
	defer func() { _ = rows.Close() }()
	var numbers []int
	for rows.Next() {
		var number int
		if err := rows.Scan(&number); err != nil {
			return nil, fmt.Errorf("cancelling releases of %s: %w", app, err)
		}
		numbers = append(numbers, number)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cancelling releases of %s: %w", app, err)
	}
	return numbers, nil
}

// pruneReleases lets go of the oldest finished releases.
func pruneReleases(ctx context.Context, tx *sql.Tx, app string, env agent.Environment, newest int) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM release WHERE app = ? AND environment = ? AND number <= ?
		AND status NOT IN ('pending', 'deploying')
		AND number <> (SELECT serving FROM app WHERE name = ? AND environment = ?)`,
		app, string(env), newest-KeptReleases, app, string(env))
	if err != nil {
		return fmt.Errorf("letting go of old releases of %s: %w", app, err)
	}
	return nil
}

// envLabel binds a sealed environment to its release.
func envLabel(r agent.Release) string {
	return "env/" + agent.ReleaseName(r.App, r.Environment, r.Number)
}

// hidden keeps the names of variables and hides their values.
func hidden(env map[string]string) map[string]string {
	if env == nil {
		return nil
	}
	shown := make(map[string]string, len(env))
	for name := range env {
		shown[name] = agent.HiddenValue
	}
	return shown
}
