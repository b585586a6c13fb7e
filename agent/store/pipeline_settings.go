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

func variableLabel(pipeline, name string) string { return "pipeline/" + pipeline + "/variable/" + name }

// PutPipelineEnv changes variables of a pipeline, all of them or none.
func (s *Store) PutPipelineEnv(ctx context.Context, pipeline string, env agent.PipelineEnv) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, name := range env.Unset {
			if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_variable WHERE pipeline = ? AND name = ?`, pipeline, name); err != nil {
				return fmt.Errorf("forgetting a variable: %w", err)
			}
		}
		for secret, values := range map[bool]map[string]string{false: env.Set, true: env.Secrets} {
			for name, value := range values {
				if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_variable (pipeline, name, secret, value) VALUES (?, ?, ?, ?)
					ON CONFLICT (pipeline, name) DO UPDATE SET secret = excluded.secret, value = excluded.value`,
					pipeline, name, secret, s.seal.seal(variableLabel(pipeline, name), []byte(value))); err != nil {
					return fmt.Errorf("keeping a variable: %w", err)
				}
			}
		}
		return nil
	})
}

// PipelineEnv returns the variables of a pipeline with all their values.
func (s *Store) PipelineEnv(ctx context.Context, pipeline string) ([]agent.PipelineVariable, error) {
	return queryAll(ctx, s, "variables", func(row scanner) (v agent.PipelineVariable, err error) {
		var sealed, plain []byte
		if err = row.Scan(&v.Name, &v.Secret, &sealed); err == nil {
			plain, err = s.seal.open(variableLabel(pipeline, v.Name), sealed)
		}
		v.Value = string(plain)
		return v, err
	}, `SELECT name, secret, value FROM pipeline_variable WHERE pipeline = ? ORDER BY name`, pipeline)
}

func remoteLabel(pipeline string) string { return "pipeline/" + pipeline + "/remote" }

// PutGitSecret keeps how a pipeline is let in to its repository.
func (s *Store) PutGitSecret(ctx context.Context, pipeline string, secret agent.GitSecret) error {
	data, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("writing the secret of a repository: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO pipeline_remote (pipeline, secret) VALUES (?, ?) ON CONFLICT (pipeline) DO UPDATE SET secret = excluded.secret`,
		pipeline, s.seal.seal(remoteLabel(pipeline), data)); err != nil {
		return fmt.Errorf("keeping the secret of a repository: %w", err)
	}
	return nil
}

// GitSecret returns how a pipeline is let in to its repository; nothing where
// everybody is.
func (s *Store) GitSecret(ctx context.Context, pipeline string) (secret agent.GitSecret, err error) {
	var sealed []byte
	err = s.db.QueryRowContext(ctx, `SELECT secret FROM pipeline_remote WHERE pipeline = ?`, pipeline).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return secret, nil
	}
	var data []byte
	if err == nil {
		data, err = s.seal.open(remoteLabel(pipeline), sealed)
	}
	if err == nil {
		err = json.Unmarshal(data, &secret)
	}
	if err != nil {
		return agent.GitSecret{}, fmt.Errorf("reading the secret of a repository: %w", err)
	}
	return secret, nil
}

// SetPipelineHead notes a commit of which no run is made.
func (s *Store) SetPipelineHead(ctx context.Context, pipeline, sha string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline SET head = ? WHERE name = ?`, sha, pipeline); err != nil {
		return fmt.Errorf("keeping the head of a branch: %w", err)
	}
	return nil
}

// PullHeads are the newest commits of a pipeline's pull requests that have a
// run, by number.
func (s *Store) PullHeads(ctx context.Context, pipeline string) (map[int]string, error) {
	type pull struct {
		number int
		head   string
	}
	all, err := queryAll(ctx, s, "pull requests", func(row scanner) (p pull, err error) {
		err = row.Scan(&p.number, &p.head)
		return p, err
	}, `SELECT number, head FROM pipeline_pull WHERE pipeline = ?`, pipeline)
	heads := map[int]string{}
	for _, p := range all {
		heads[p.number] = p.head
	}
	return heads, err
}

// ForgetPull forgets a pull request, with its preview.
func (s *Store) ForgetPull(ctx context.Context, pipeline string, number int) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pipeline_pull WHERE pipeline = ? AND number = ?`, pipeline, number); err != nil {
		return fmt.Errorf("forgetting a pull request: %w", err)
	}
	return nil
}

// EndPreview notes that the app of a pull request is gone; its next commit
// may have one again.
func (s *Store) EndPreview(ctx context.Context, pipeline string, number int) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE pipeline_pull SET app = '' WHERE pipeline = ? AND number = ?`, pipeline, number); err != nil {
		return fmt.Errorf("ending a preview: %w", err)
	}
	return nil
}

// Previews lists the apps of pull requests, also of pipelines that are gone,
// the one with the oldest run first.
func (s *Store) Previews(ctx context.Context) ([]agent.Preview, error) {
	return queryAll(ctx, s, "previews", func(row scanner) (p agent.Preview, err error) {
		var at int64
		err = row.Scan(&p.Pipeline, &p.Pull, &p.App, &at)
		p.At = fromMillis(at)
		return p, err
	}, `SELECT pipeline, number, app, at FROM pipeline_pull WHERE app != '' ORDER BY at, number`)
}

// Tag is a tag of a pipeline's repository, and what became of it.
type Tag struct {
	Name, SHA, State string
	At               time.Time
}

// States of a tag.
const (
	TagSeen     = "seen"    // it was there before tags promoted
	TagWaiting  = "waiting" // for the run of its commit
	TagPromoted = "promoted"
	TagRefused  = "refused"
)

// PutTag writes what is known of a tag.
func (s *Store) PutTag(ctx context.Context, pipeline string, t Tag) error {
	if _, err := s.db.ExecContext(ctx, `INSERT INTO pipeline_tag (pipeline, name, sha, state, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, name) DO UPDATE SET sha = excluded.sha, state = excluded.state, at = excluded.at`, pipeline, t.Name, t.SHA, t.State, millis(t.At)); err != nil {
		return fmt.Errorf("keeping a tag: %w", err)
	}
	return nil
}

// Tags lists the tags of a pipeline that are known.
func (s *Store) Tags(ctx context.Context, pipeline string) ([]Tag, error) {
	return queryAll(ctx, s, "tags", func(row scanner) (t Tag, err error) {
		var at int64
		err = row.Scan(&t.Name, &t.SHA, &t.State, &at)
		t.At = fromMillis(at)
		return t, err
	}, `SELECT name, sha, state, at FROM pipeline_tag WHERE pipeline = ? ORDER BY at, name`, pipeline)
}

// PutTests keeps the tests of a run in place of earlier ones.
func (s *Store) PutTests(ctx context.Context, r agent.Run, tests []agent.TestCase) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_test WHERE run = ?`, r.ID); err != nil {
			return fmt.Errorf("keeping tests: %w", err)
		}
		for place, t := range tests {
			data, err := json.Marshal(t)
			if err != nil {
				return fmt.Errorf("writing a test: %w", err)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_test (run, place, pipeline, sha, name, outcome, data) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				r.ID, place, r.Pipeline, r.Commit.SHA, testName(t), t.Outcome, string(data)); err != nil {
				return fmt.Errorf("keeping tests: %w", err)
			}
		}
		return nil
	})
}

func testName(t agent.TestCase) string { return t.Component + "\n" + t.Suite + "\n" + t.Name }

// Parameters of the note about tests whose outcome is chance.
const (
	flakyRuns  = 20 // that are looked back
	flakyTurns = 3  // changes between passed and failed in these
)

// Tests lists the tests of a run in the order of their reports. A test that
// had another outcome with the same commit, or that went to and fro in the
// last runs, is noted as flaky.
func (s *Store) Tests(ctx context.Context, r agent.Run) ([]agent.TestCase, error) {
	tests, err := queryAll(ctx, s, "tests", func(row scanner) (t agent.TestCase, err error) {
		var data string
		if err = row.Scan(&data); err == nil {
			err = json.Unmarshal([]byte(data), &t)
		}
		return t, err
	}, `SELECT data FROM pipeline_test WHERE run = ? ORDER BY place`, r.ID)
	if err != nil || len(tests) == 0 {
		return tests, err
	}
	type past struct{ name, sha, outcome string }
	history, err := queryAll(ctx, s, "tests", func(row scanner) (p past, err error) {
		err = row.Scan(&p.name, &p.sha, &p.outcome)
		return p, err
	}, `SELECT name, sha, outcome FROM pipeline_test WHERE outcome != 'skipped' AND run <= ? AND run IN
		(SELECT DISTINCT run FROM pipeline_test WHERE pipeline = ? AND run <= ? ORDER BY run DESC LIMIT ?) ORDER BY run, place`, r.ID, r.Pipeline, r.ID, flakyRuns)
	if err != nil {
		return nil, err
	}
	byName := map[string][]past{}
	for _, p := range history {
		byName[p.name] = append(byName[p.name], p)
	}
	for i := range tests {
		outcomes := map[string]string{} // by commit
		turns, last := 0, ""
		for _, p := range byName[testName(tests[i])] {
			if before, ok := outcomes[p.sha]; ok && before != p.outcome {
				tests[i].Flaky = "it passed and failed with the same commit " + p.sha[:min(len(p.sha), 7)]
			}
			outcomes[p.sha] = p.outcome
			if last != "" && last != p.outcome {
				turns++
			}
			last = p.outcome
		}
		if tests[i].Flaky == "" && turns >= flakyTurns {
			tests[i].Flaky = fmt.Sprintf("its outcome changed %d times in the last %d runs", turns, len(byName[testName(tests[i])]))
		}
	}
	return tests, nil
}
