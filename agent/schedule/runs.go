package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// maxOutput bounds what is kept of what a run printed, in bytes; of more the
// end is kept.
const maxOutput = 256 << 10

// RunNow begins a run by hand, whatever the schedule says.
func (m *Manager) RunNow(ctx context.Context, name, by string) (agent.CronRun, error) {
	j, ok, err := m.cfg.Store.CronJob(ctx, name)
	if err != nil {
		return agent.CronRun{}, err
	}
	if !ok {
		return agent.CronRun{}, absent(name)
	}
	made, err := m.cfg.Store.DecideCron(ctx, name, j.Cursor, []agent.CronRun{{Slot: m.cfg.Now().UTC(), Manual: true, Status: agent.RunPending, By: by}})
	if err != nil {
		return agent.CronRun{}, err
	}
	if len(made) == 0 {
		return agent.CronRun{}, agent.Errorf(agent.CodeConflict, "try again", "a run was begun at this very moment")
	}
	m.nudge()
	return made[0], nil
}

// History lists the runs of a job, the newest first.
func (m *Manager) History(ctx context.Context, name string, limit int) ([]agent.CronRun, error) {
	if _, ok, err := m.cfg.Store.CronJob(ctx, name); err != nil || !ok {
		return nil, errors.Join(err, unless(ok, absent(name)))
	}
	return m.cfg.Store.CronRuns(ctx, name, min(limit, store.KeptCronRuns))
}

func unless(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// Run tells of one run.
func (m *Manager) Run(ctx context.Context, id int64) (agent.CronRun, error) {
	r, ok, err := m.cfg.Store.CronRun(ctx, id)
	if err != nil {
		return agent.CronRun{}, err
	}
	if !ok {
		return agent.CronRun{}, agent.Errorf(agent.CodeNotFound, "list them with: hks cron history NAME", "there is no run %d", id)
	}
	return r, nil
}

// Cancel ends a run.
func (m *Manager) Cancel(ctx context.Context, id int64, by string) (agent.CronRun, error) {
	r, err := m.Run(ctx, id)
	if err != nil {
		return agent.CronRun{}, err
	}
	if r.Status.Done() {
		return agent.CronRun{}, agent.Errorf(agent.CodeConflict, "", "run %d of %s has ended: it is %s", id, r.Job, r.Status)
	}
	j, ok, err := m.cfg.Store.CronJob(ctx, r.Job)
	if err != nil || !ok {
		return agent.CronRun{}, errors.Join(err, unless(ok, absent(r.Job)))
	}
	if err := m.end(ctx, j.CronJob, r); err != nil {
		return agent.CronRun{}, err
	}
	m.cfg.Record(ctx, agent.Activity{Level: "info", Subject: "cron/" + r.Job, Message: fmt.Sprintf("run %d of %s is cancelled", id, r.Job), By: by})
	return m.Run(ctx, id)
}

// end cancels a run and waits until it has ended.
func (m *Manager) end(ctx context.Context, j agent.CronJob, r agent.CronRun) error {
	if !m.cancel(r.ID, errCancelled) { // it queues
		m.finish(ctx, j, r, agent.RunCancelled, Outcome{Message: errCancelled.Error()})
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		now, err := m.Run(ctx, r.ID)
		if err != nil || now.Status.Done() {
			return err
		}
		select {
		case <-ctx.Done():
			return agent.Errorf(agent.CodeConflict, "look again with: hks cron history "+r.Job, "run %d has not ended yet", r.ID)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Output is what a run printed, or what a function answered.
func (m *Manager) Output(ctx context.Context, id int64) ([]byte, error) {
	if _, err := m.Run(ctx, id); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(m.outputFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the output of run %d: %w", id, err)
	}
	return data, nil
}

func (m *Manager) outputFile(id int64) string {
	return filepath.Join(m.cfg.Dir, strconv.FormatInt(id, 10)+".log")
}

func (m *Manager) keepOutput(id int64, output []byte) error {
	if len(output) == 0 {
		return nil
	}
	if len(output) > maxOutput {
		output = output[len(output)-maxOutput:]
	}
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of outputs: %w", err)
	}
	temp := m.outputFile(id) + ".tmp"
	if err := os.WriteFile(temp, output, 0o600); err != nil {
		return fmt.Errorf("writing an output: %w", errors.Join(err, os.Remove(temp)))
	}
	return os.Rename(temp, m.outputFile(id))
}

func (m *Manager) dropOutput(id int64) error {
	if err := os.Remove(m.outputFile(id)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes the output of runs that are not kept any more.
func (m *Manager) sweep(ctx context.Context) {
	files, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return // there is none yet
	}
	for _, file := range files {
		id, err := strconv.ParseInt(strings.TrimSuffix(file.Name(), ".log"), 10, 64)
		if err != nil {
			continue
		}
		if _, ok, err := m.cfg.Store.CronRun(ctx, id); err == nil && !ok {
			if err := m.dropOutput(id); err != nil {
				m.cfg.Log.WarnContext(ctx, "removing a run's output", "run", id, "error", err)
			}
		}
	}
}
