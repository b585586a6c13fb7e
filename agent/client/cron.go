package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"hks.dev/hks/agent"
)

func cronPath(name, rest string) string { return "/api/cron/" + url.PathEscape(name) + rest }

// CronJobs lists the cron jobs.
func (c *Client) CronJobs(ctx context.Context) ([]agent.CronJob, error) {
	var jobs []agent.CronJob
	return jobs, c.call(ctx, http.MethodGet, "/api/cron", nil, &jobs)
}

// CronJob returns one cron job.
func (c *Client) CronJob(ctx context.Context, name string) (agent.CronJob, error) {
	var job agent.CronJob
	return job, c.call(ctx, http.MethodGet, cronPath(name, ""), nil, &job)
}

// CreateCronJob makes a cron job.
func (c *Client) CreateCronJob(ctx context.Context, j agent.CronJob) (agent.CronJob, error) {
	var job agent.CronJob
	return job, c.call(ctx, http.MethodPost, "/api/cron", j, &job)
}

// EditCronJob writes a cron job in place of the one of its name.
func (c *Client) EditCronJob(ctx context.Context, j agent.CronJob) (agent.CronJob, error) {
	var job agent.CronJob
	return job, c.call(ctx, http.MethodPut, cronPath(j.Name, ""), j, &job)
}

// DeleteCronJob forgets a cron job and its history.
func (c *Client) DeleteCronJob(ctx context.Context, name string) error {
	return c.callWithin(ctx, slowTimeout, http.MethodDelete, cronPath(name, ""), nil, nil)
}

// PauseCronJob keeps a cron job from running.
func (c *Client) PauseCronJob(ctx context.Context, name string) (agent.CronJob, error) {
	var job agent.CronJob
	return job, c.call(ctx, http.MethodPost, cronPath(name, "/pause"), nil, &job)
}

// ResumeCronJob lets a paused cron job run again.
func (c *Client) ResumeCronJob(ctx context.Context, name string) (agent.CronJob, error) {
	var job agent.CronJob
	return job, c.call(ctx, http.MethodPost, cronPath(name, "/resume"), nil, &job)
}

// PreviewCron tells when a schedule is due next.
func (c *Client) PreviewCron(ctx context.Context, schedule, zone string) ([]time.Time, error) {
	var times []time.Time
	return times, c.call(ctx, http.MethodPost, "/api/cron-preview", map[string]string{"schedule": schedule, "timeZone": zone}, &times)
}

// RunCronJob begins a run by hand.
func (c *Client) RunCronJob(ctx context.Context, name string) (agent.CronRun, error) {
	var run agent.CronRun
	return run, c.call(ctx, http.MethodPost, cronPath(name, "/run"), nil, &run)
}

// CronRuns lists the runs of a cron job, the newest first.
func (c *Client) CronRuns(ctx context.Context, name string, limit int) ([]agent.CronRun, error) {
	var runs []agent.CronRun
	return runs, c.call(ctx, http.MethodGet, cronPath(name, fmt.Sprintf("/runs?limit=%d", limit)), nil, &runs)
}

// CronRun returns one run.
func (c *Client) CronRun(ctx context.Context, id int64) (agent.CronRun, error) {
	var run agent.CronRun
	return run, c.call(ctx, http.MethodGet, fmt.Sprintf("/api/cron-runs/%d", id), nil, &run)
}

// CancelCronRun ends a run.
func (c *Client) CancelCronRun(ctx context.Context, id int64) (agent.CronRun, error) {
	var run agent.CronRun
	return run, c.callWithin(ctx, slowTimeout, http.MethodPost, fmt.Sprintf("/api/cron-runs/%d/cancel", id), nil, &run)
}

// CronOutput is what a run printed.
func (c *Client) CronOutput(ctx context.Context, id int64) ([]byte, error) {
	var output []byte
	return output, c.call(ctx, http.MethodGet, fmt.Sprintf("/api/cron-runs/%d/output", id), nil, &output)
}
