package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"hks.dev/hks/agent"
)

// KeptDeliveries is how many deliveries of webhooks are kept, of all pipelines
// together; KeptRuns how many runs that have ended.
const (
	KeptDeliveries = 500
	KeptRuns       = 500
)

const gitHubLabel = "github"

func pipelineLabel(name string) string { return "pipeline/" + name }

// PutGitHub keeps the connection to GitHub in place of an earlier one.
func (s *Store) PutGitHub(ctx context.Context, g agent.GitHub, token string) error {
	data, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("writing the connection to GitHub: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO github (id, data, secret) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data, secret = excluded.secret`,
		string(data), s.seal.seal(gitHubLabel, []byte(token))); err != nil {
		return fmt.Errorf("keeping the connection to GitHub: %w", err)
	}
	return nil
}

// GitHub returns the connection and its token; both are empty when there is none.
func (s *Store) GitHub(ctx context.Context) (g agent.GitHub, token string, err error) {
	var data string
	var sealed []byte
	err = s.db.QueryRowContext(ctx, `SELECT data, secret FROM github`).Scan(&data, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return agent.GitHub{}, "", nil
	}
	var plain []byte
	if err == nil {
		plain, err = s.seal.open(gitHubLabel, sealed)
	}
	if err == nil {
		err = json.Unmarshal([]byte(data), &g)
	}
	if err != nil {
		return agent.GitHub{}, "", fmt.Errorf("reading the connection to GitHub: %w", err)
	}
	return g, string(plain), nil
}

// RemoveGitHub forgets the connection and its token.
func (s *Store) RemoveGitHub(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM github`); err != nil {
		return fmt.Errorf("forgetting the connection to GitHub: %w", err)
	}
	return nil
}

// AddPipeline keeps a new pipeline; false when its name is taken.
func (s *Store) AddPipeline(ctx context.Context, p agent.Pipeline, hookSecret string) (bool, error) {
	p.Variables, p.Password = nil, "" // they are sealed, in tables of their own
	data, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("writing a pipeline: %w", err)
	}
	result, err := s.db.ExecContext(ctx, `INSERT INTO pipeline (name, head, data, secret) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		p.Name, p.Head, string(data), s.seal.seal(pipelineLabel(p.Name), []byte(hookSecret)))
	if err != nil {
		return false, fmt.Errorf("keeping a pipeline: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// UpdatePipeline keeps all of a pipeline but its head.
func (s *Store) UpdatePipeline(ctx context.Context, p agent.Pipeline) error {
	p.Variables, p.Password = nil, "" // they are sealed, in tables of their own
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("writing a pipeline: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline SET data = ? WHERE name = ?`, string(data), p.Name); err != nil {
		return fmt.Errorf("keeping a pipeline: %w", err)
	}
	return nil
}

// Pipelines lists all pipelines by name.
func (s *Store) Pipelines(ctx context.Context) ([]agent.Pipeline, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT data, head FROM pipeline ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("listing pipelines: %w", err)
	}
	return collect(rows, "pipelines", func(row scanner) (p agent.Pipeline, err error) {
		var data, head string
		if err = row.Scan(&data, &head); err == nil {
			err = json.Unmarshal([]byte(data), &p)
		}
		p.Head = head
		return p, err
	})
}

// HookSecret returns the secret of a pipeline's webhook; ok is false when
// there is no such pipeline.
func (s *Store) HookSecret(ctx context.Context, name string) (secret string, ok bool, err error) {
	var sealed []byte
	err = s.db.QueryRowContext(ctx, `SELECT secret FROM pipeline WHERE name = ?`, name).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	var plain []byte
	if err == nil {
		plain, err = s.seal.open(pipelineLabel(name), sealed)
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the secret of a webhook: %w", err)
	}
	return string(plain), true, nil
}

// RemovePipeline forgets a pipeline; its runs stay.
func (s *Store) RemovePipeline(ctx context.Context, name string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, query := range []string{
			`DELETE FROM pipeline WHERE name = ?`, `DELETE FROM pipeline_variable WHERE pipeline = ?`,
			`DELETE FROM pipeline_remote WHERE pipeline = ?`, `DELETE FROM pipeline_pull WHERE pipeline = ? AND app = ''`, `DELETE FROM pipeline_tag WHERE pipeline = ?`,
		} {
			if _, err := tx.ExecContext(ctx, query, name); err != nil {
				return fmt.Errorf("forgetting a pipeline: %w", err)
			}
		}
		return nil
	})
}

// AddRun accepts a run. With onlyNew it does so only when the commit is not
// the pipeline's head already, so that one push, seen twice, is one run. Runs
// of the pipeline that still wait are superseded: they are returned as
// cancelled.
func (s *Store) AddRun(ctx context.Context, r agent.Run, onlyNew bool) (run agent.Run, added bool, superseded []agent.Run, err error) {
	r.Status, r.CreatedAt = agent.RunPending, s.cfg.Now().UTC()
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if fresh, err := s.putHead(ctx, tx, r, onlyNew); err != nil || !fresh {
			return err
		}
		waiting, err := runsIn(ctx, tx, `WHERE pipeline = ? AND status = 'pending' ORDER BY id`, r.Pipeline)
		if err != nil {
			return err
		}
		for _, old := range waiting {
			if pullOf(old) != pullOf(r) {
				continue
			}
			old.Status, old.FinishedAt, old.Note = agent.RunCancelled, r.CreatedAt, "a newer commit took its place"
			if err := putRun(ctx, tx, old); err != nil {
				return err
			}
			superseded = append(superseded, old)
		}
		if err := tx.QueryRowContext(ctx, `INSERT INTO pipeline_run (pipeline, status, data) VALUES (?, 'pending', '{}') RETURNING id`, r.Pipeline).Scan(&r.ID); err != nil {
			return fmt.Errorf("keeping a run: %w", err)
		}
		if err := putRun(ctx, tx, r); err != nil {
			return err
		}
		added = true
		if _, err = tx.ExecContext(ctx, `DELETE FROM pipeline_run WHERE status NOT IN ('pending', 'running') AND id <= ? - ?`, r.ID, KeptRuns); err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM pipeline_test WHERE run <= ? - ?`, r.ID, KeptRuns)
		}
		return err
	})
	return r, added, superseded, err
}

func pullOf(r agent.Run) int {
	if r.Pull == nil {
		return 0
	}
	return r.Pull.Number
}

// putHead writes the newest commit of a branch, or of a pull request, and
// tells whether a run is to be made of it.
func (s *Store) putHead(ctx context.Context, tx *sql.Tx, r agent.Run, onlyNew bool) (bool, error) {
	var result sql.Result
	var err error
	if r.Pull == nil {
		result, err = tx.ExecContext(ctx, `UPDATE pipeline SET head = ? WHERE name = ? AND (head != ? OR NOT ?)`, r.Commit.SHA, r.Pipeline, r.Commit.SHA, onlyNew)
	} else {
		result, err = tx.ExecContext(ctx, `INSERT INTO pipeline_pull (pipeline, number, head, app, at) SELECT name, ?, ?, ?, ? FROM pipeline WHERE name = ?
			ON CONFLICT (pipeline, number) DO UPDATE SET head = excluded.head, app = excluded.app, at = excluded.at WHERE head != excluded.head OR NOT ?`,
			r.Pull.Number, r.Commit.SHA, r.App, millis(r.CreatedAt), r.Pipeline, onlyNew)
	}
	if err != nil {
		return false, fmt.Errorf("keeping a run: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func putRun(ctx context.Context, db execer, r agent.Run) error {
	_, err := updateRun(ctx, db, r)
	return err
}

func updateRun(ctx context.Context, db execer, r agent.Run) (bool, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("writing run %d: %w", r.ID, err)
	}
	result, err := db.ExecContext(ctx, `UPDATE pipeline_run SET status = ?, data = ? WHERE id = ? AND status IN ('pending', 'running')`, string(r.Status), string(data), r.ID)
	if err != nil {
		return false, fmt.Errorf("keeping run %d: %w", r.ID, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// UpdateRun keeps how far a run is; false, and nothing is changed, when it
// has ended before.
func (s *Store) UpdateRun(ctx context.Context, r agent.Run) (bool, error) {
	return updateRun(ctx, s.db, r)
}

// Run returns one run; ok is false when there is none.
func (s *Store) Run(ctx context.Context, id int64) (r agent.Run, ok bool, err error) {
	runs, err := runsIn(ctx, s.db, `WHERE id = ?`, id)
	if err != nil || len(runs) == 0 {
		return agent.Run{}, false, err
	}
	return runs[0], true, nil
}

// Runs lists runs, newest first: of one pipeline when it is named, else all.
func (s *Store) Runs(ctx context.Context, pipeline string) ([]agent.Run, error) {
	return runsIn(ctx, s.db, `WHERE ? = '' OR pipeline = ? ORDER BY id DESC`, pipeline, pipeline)
}

// UnfinishedRuns lists what is still to be done, oldest first.
func (s *Store) UnfinishedRuns(ctx context.Context) ([]agent.Run, error) {
	return runsIn(ctx, s.db, `WHERE status IN ('pending', 'running') ORDER BY id`)
}

func runsIn(ctx context.Context, db querier, where string, args ...any) ([]agent.Run, error) {
	rows, err := db.QueryContext(ctx, `SELECT data FROM pipeline_run `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	return collect(rows, "runs", func(row scanner) (r agent.Run, err error) {
		var data string
		if err = row.Scan(&data); err == nil {
			err = json.Unmarshal([]byte(data), &r)
		}
		return r, err
	})
}

// AddDelivery writes a delivery into the ledger. One that was accepted before
// under the same id is kept as a duplicate, and fresh is false.
func (s *Store) AddDelivery(ctx context.Context, d agent.Delivery) (fresh bool, err error) {
	d.At = s.cfg.Now().UTC()
	err = s.tx(ctx, func(tx *sql.Tx) error {
		var known int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM pipeline_delivery WHERE pipeline = ? AND id = ? AND outcome = 'accepted'`, d.Pipeline, d.ID).Scan(&known); err != nil {
			return fmt.Errorf("looking for a delivery: %w", err)
		}
		if fresh = known == 0; !fresh && d.Outcome == "accepted" {
			d.Outcome, d.Why = "duplicate", "it came before"
		}
		data, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("writing a delivery: %w", err)
		}
		var number int64
		if err := tx.QueryRowContext(ctx, `INSERT INTO pipeline_delivery (pipeline, id, outcome, data) VALUES (?, ?, ?, ?) RETURNING number`,
			d.Pipeline, d.ID, d.Outcome, string(data)).Scan(&number); err != nil {
			return fmt.Errorf("keeping a delivery: %w", err)
		}
		// Strangers' deliveries must not push out those that replays are known by.
		_, err = tx.ExecContext(ctx, `DELETE FROM pipeline_delivery WHERE (outcome = 'accepted') = ? AND number NOT IN
			(SELECT number FROM pipeline_delivery WHERE (outcome = 'accepted') = ? ORDER BY number DESC LIMIT ?)`, d.Outcome == "accepted", d.Outcome == "accepted", KeptDeliveries)
		return err
	})
	return fresh, err
}

// Deliveries lists deliveries of a pipeline, newest first.
func (s *Store) Deliveries(ctx context.Context, pipeline string) ([]agent.Delivery, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT data FROM pipeline_delivery WHERE pipeline = ? ORDER BY number DESC`, pipeline)
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", err)
	}
	return collect(rows, "deliveries", func(row scanner) (d agent.Delivery, err error) {
		var data string
		if err = row.Scan(&data); err == nil {
			err = json.Unmarshal([]byte(data), &d)
		}
		return d, err
	})
}
