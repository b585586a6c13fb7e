package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hks.dev/hks/agent"
)

// ErrServiceBusy says that another job of the service has not ended.
var ErrServiceBusy = errors.New("the service has a job that has not ended")

// keptJobs is how many jobs of a service are kept.
const keptJobs = 50

const jobColumns = `id, service, kind, status, steps, backup, failure, by_whom, created_at, started_at, finished_at`

func scanJob(row scanner) (agent.ServiceJob, error) {
	var (
		j                          agent.ServiceJob
		steps, failure             string
		created, started, finished int64
	)
	err := row.Scan(&j.ID, &j.Service, &j.Kind, &j.Status, &steps, &j.Backup, &failure, &j.By, &created, &started, &finished)
	if err != nil {
		return agent.ServiceJob{}, err
	}
	j.CreatedAt, j.StartedAt, j.FinishedAt = fromMillis(created), fromMillis(started), fromMillis(finished)
	if err := json.Unmarshal([]byte(steps), &j.Steps); err != nil {
		return agent.ServiceJob{}, fmt.Errorf("reading the steps of job %d: %w", j.ID, err)
	}
	if failure != "" {
		j.Failure = new(agent.Failure)
		if err := json.Unmarshal([]byte(failure), j.Failure); err != nil {
			return agent.ServiceJob{}, fmt.Errorf("reading the failure of job %d: %w", j.ID, err)
		}
	}
	return j, nil
}

// AddServiceJob accepts a job; ErrServiceBusy while another one has not ended.
// The service's status becomes that, unless it is empty.
func (s *Store) AddServiceJob(ctx context.Context, j agent.ServiceJob, args any, status agent.ServiceStatus) (agent.ServiceJob, error) {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		var err error
		if j, err = s.addJob(ctx, tx, j, args); err != nil || status == "" {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE service SET status = ? WHERE name = ?`, string(status), j.Service); err != nil {
			return fmt.Errorf("keeping the status of %s: %w", j.Service, err)
		}
		return nil
	})
	return j, err
}

func (s *Store) addJob(ctx context.Context, tx *sql.Tx, j agent.ServiceJob, args any) (agent.ServiceJob, error) {
	data, err := json.Marshal(args)
	if err != nil {
		return j, fmt.Errorf("writing a job: %w", err)
	}
	j.Status, j.Steps, j.CreatedAt = agent.RunPending, []agent.JobStep{}, fromMillis(millis(s.cfg.Now()))
	err = tx.QueryRowContext(ctx, `INSERT INTO service_job (service, kind, status, args, backup, by_whom, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		j.Service, j.Kind, string(j.Status), string(data), j.Backup, j.By, millis(j.CreatedAt)).Scan(&j.ID)
	if err != nil && strings.Contains(err.Error(), "UNIQUE constraint") {
		return j, ErrServiceBusy
	}
	if err != nil {
		return j, fmt.Errorf("keeping a job: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM service_job WHERE service = ? AND status NOT IN ('pending', 'running')
		AND id NOT IN (SELECT id FROM service_job WHERE service = ? ORDER BY id DESC LIMIT ?)`, j.Service, j.Service, keptJobs); err != nil {
		return j, fmt.Errorf("letting go of old jobs: %w", err)
	}
	return j, nil
}

// ServiceJob returns one job; ok is false when there is none.
func (s *Store) ServiceJob(ctx context.Context, id int64) (j agent.ServiceJob, ok bool, err error) {
	j, err = scanJob(s.db.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM service_job WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.ServiceJob{}, false, nil
	}
	if err != nil {
		return agent.ServiceJob{}, false, fmt.Errorf("reading job %d: %w", id, err)
	}
	return j, true, nil
}

// ServiceJobArgs reads what a job was asked to do into args.
func (s *Store) ServiceJobArgs(ctx context.Context, id int64, args any) error {
	var data string
	err := s.db.QueryRowContext(ctx, `SELECT args FROM service_job WHERE id = ?`, id).Scan(&data)
	if err == nil {
		err = json.Unmarshal([]byte(data), args)
	}
	if err != nil {
		return fmt.Errorf("reading what job %d is to do: %w", id, err)
	}
	return nil
}

// LastServiceJob returns the newest job of a service; ok is false when there
// is none.
func (s *Store) LastServiceJob(ctx context.Context, service string) (j agent.ServiceJob, ok bool, err error) {
	j, err = scanJob(s.db.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM service_job WHERE service = ? ORDER BY id DESC LIMIT 1`, service))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.ServiceJob{}, false, nil
	}
	if err != nil {
		return agent.ServiceJob{}, false, fmt.Errorf("reading the newest job of %s: %w", service, err)
	}
	return j, true, nil
}

// UnfinishedServiceJobs lists what is still to be done, oldest first.
func (s *Store) UnfinishedServiceJobs(ctx context.Context) ([]agent.ServiceJob, error) {
	return queryAll(ctx, s, "jobs", scanJob, `SELECT `+jobColumns+` FROM service_job WHERE status IN ('pending', 'running') ORDER BY id`)
}

// PutServiceJob keeps how far a job is.
func (s *Store) PutServiceJob(ctx context.Context, j agent.ServiceJob) error {
	steps, err := json.Marshal(j.Steps)
	if err != nil {
		return fmt.Errorf("writing job %d: %w", j.ID, err)
	}
	failure := ""
	if j.Failure != nil {
		data, err := json.Marshal(j.Failure)
		if err != nil {
			return fmt.Errorf("writing job %d: %w", j.ID, err)
		}
		failure = string(data)
	}
	_, err = s.db.ExecContext(ctx, `UPDATE service_job SET status = ?, steps = ?, backup = ?, failure = ?, started_at = ?, finished_at = ? WHERE id = ?`,
		string(j.Status), string(steps), j.Backup, failure, millis(j.StartedAt), millis(j.FinishedAt), j.ID)
	if err != nil {
		return fmt.Errorf("keeping job %d: %w", j.ID, err)
	}
	return nil
}
