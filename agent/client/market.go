package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

func servicePath(name, more string) string { return "/api/services/" + url.PathEscape(name) + more }

func backupPath(name string, id int64, more string) string {
	return servicePath(name, "/backups/"+strconv.FormatInt(id, 10)+more)
}

// Catalogue lists what can be installed.
func (c *Client) Catalogue(ctx context.Context) ([]agent.CatalogueEntry, error) {
	var entries []agent.CatalogueEntry
	err := c.call(ctx, http.MethodGet, "/api/market", nil, &entries)
	return entries, err
}

// CatalogueEntry tells all of one entry.
func (c *Client) CatalogueEntry(ctx context.Context, name string) (agent.CatalogueEntry, error) {
	var entry agent.CatalogueEntry
	err := c.call(ctx, http.MethodGet, "/api/market/"+url.PathEscape(name), nil, &entry)
	return entry, err
}

// AddChart adds a chart of one's own, packed as .tgz, to the catalogue.
func (c *Client) AddChart(ctx context.Context, archive io.Reader) (agent.CatalogueEntry, error) {
	limited, cancel := context.WithTimeout(ctx, slowTimeout)
	defer cancel()
	req, err := c.request(limited, http.MethodPost, "/api/market", archive)
	if err != nil {
		return agent.CatalogueEntry{}, err
	}
	req.Header.Set("Content-Type", "application/gzip")
	answer, err := c.send(ctx, req)
	if err != nil {
		return agent.CatalogueEntry{}, err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	var entry agent.CatalogueEntry
	return entry, c.decode(ctx, answer, &entry)
}

// Services lists what is installed.
func (c *Client) Services(ctx context.Context) ([]agent.Service, error) {
	var services []agent.Service
	err := c.call(ctx, http.MethodGet, "/api/services", nil, &services)
	return services, err
}

// Service returns one service.
func (c *Client) Service(ctx context.Context, name string) (agent.Service, error) {
	var service agent.Service
	err := c.call(ctx, http.MethodGet, servicePath(name, ""), nil, &service)
	return service, err
}

// InstallService asks for a service.
func (c *Client) InstallService(ctx context.Context, r agent.ServiceRequest) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, "/api/services", r)
}

// UpgradeService asks for other values, or the newest version of the chart.
func (c *Client) UpgradeService(ctx context.Context, name string, u agent.ServiceUpgrade) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, servicePath(name, "/upgrade"), u)
}

// MoveService has a service run elsewhere, with its data.
func (c *Client) MoveService(ctx context.Context, name, to string) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, servicePath(name, "/move"), agent.Move{To: to})
}

// PlanServiceMove tells what that would do, and does nothing.
func (c *Client) PlanServiceMove(ctx context.Context, name, to string) (agent.MovePlan, error) {
	var plan agent.MovePlan
	return plan, c.call(ctx, http.MethodPost, servicePath(name, "/move/plan"), agent.Move{To: to}, &plan)
}

// ServiceDiff tells what an upgrade would change.
func (c *Client) ServiceDiff(ctx context.Context, name string, u agent.ServiceUpgrade) ([]agent.Change, error) {
	var changes []agent.Change
	err := c.callWithin(ctx, slowTimeout, http.MethodPost, servicePath(name, "/diff"), u, &changes)
	return changes, err
}

// TestService has the chart's own test log in.
func (c *Client) TestService(ctx context.Context, name string) error {
	return c.callWithin(ctx, slowTimeout, http.MethodPost, servicePath(name, "/test"), nil, nil)
}

// UninstallService removes a service; force although apps are bound to it,
// purge with its volume and backups.
func (c *Client) UninstallService(ctx context.Context, name string, force, purge bool) (agent.ServiceJob, error) {
	query := url.Values{"force": {strconv.FormatBool(force)}, "purge": {strconv.FormatBool(purge)}}
	return c.job(ctx, http.MethodDelete, servicePath(name, "?"+query.Encode()), nil)
}

// RotateService exchanges a service's credentials.
func (c *Client) RotateService(ctx context.Context, name string) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, servicePath(name, "/rotate"), nil)
}

// Credentials tells how a client logs in to a service.
func (c *Client) Credentials(ctx context.Context, name string) (agent.Credentials, error) {
	var credentials agent.Credentials
	err := c.call(ctx, http.MethodPost, servicePath(name, "/credentials"), nil, &credentials)
	return credentials, err
}

// Bind connects a service to an app.
func (c *Client) Bind(ctx context.Context, name string, b agent.Bind) (agent.Binding, error) {
	var binding agent.Binding
	err := c.call(ctx, http.MethodPost, servicePath(name, "/bindings"), b, &binding)
	return binding, err
}

// Unbind takes a service out of an app.
func (c *Client) Unbind(ctx context.Context, name, app string, env agent.Environment) (agent.Binding, error) {
	var binding agent.Binding
	err := c.call(ctx, http.MethodDelete, servicePath(name, "/bindings/"+url.PathEscape(app)+"/"+url.PathEscape(string(env))), nil, &binding)
	return binding, err
}

// ServiceJob returns one job of a service.
func (c *Client) ServiceJob(ctx context.Context, name string, id int64) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodGet, servicePath(name, "/jobs/"+strconv.FormatInt(id, 10)), nil)
}

// jobPause is how often a job that is followed is looked at.
const jobPause = 500 * time.Millisecond

// FollowServiceJob tells each new step of a job until it has ended, over an
// appliance that is away for a while.
func (c *Client) FollowServiceJob(ctx context.Context, job agent.ServiceJob, on func(agent.JobStep)) (agent.ServiceJob, error) {
	told, alive := 0, time.Now()
	for {
		for ; told < len(job.Steps); told++ {
			on(job.Steps[told])
		}
		if job.Status.Done() {
			return job, nil
		}
		if err := sleep(ctx, jobPause); err != nil {
			return job, err
		}
		now, err := c.ServiceJob(ctx, job.Service, job.ID)
		switch {
		case err == nil:
			job, alive = now, time.Now()
		case ctx.Err() != nil:
			return job, ctx.Err()
		case !passing(err) || time.Since(alive) > c.retry.patience:
			return job, err
		}
	}
}

// Backups lists the backups of a service, newest first.
func (c *Client) Backups(ctx context.Context, name string) ([]agent.Backup, error) {
	var backups []agent.Backup
	err := c.call(ctx, http.MethodGet, servicePath(name, "/backups"), nil, &backups)
	return backups, err
}

// BackUp saves what is in a service.
func (c *Client) BackUp(ctx context.Context, name string) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, servicePath(name, "/backups"), nil)
}

// RestoreBackup puts a backup in the place of a service's data.
func (c *Client) RestoreBackup(ctx context.Context, name string, id int64) (agent.ServiceJob, error) {
	return c.job(ctx, http.MethodPost, backupPath(name, id, "/restore"), nil)
}

// VerifyBackup restores a backup into a scratch instance; 0 means the newest.
func (c *Client) VerifyBackup(ctx context.Context, name string, id int64) (agent.ServiceJob, error) {
	if id == 0 {
		return c.job(ctx, http.MethodPost, servicePath(name, "/verify"), nil)
	}
	return c.job(ctx, http.MethodPost, backupPath(name, id, "/verify"), nil)
}

// DeleteBackup removes a backup.
func (c *Client) DeleteBackup(ctx context.Context, name string, id int64) error {
	return c.call(ctx, http.MethodDelete, backupPath(name, id, ""), nil, nil)
}

// BackupTarget tells where copies of backups go; the zero value: nowhere.
func (c *Client) BackupTarget(ctx context.Context) (agent.BackupTarget, error) {
	var target agent.BackupTarget
	err := c.call(ctx, http.MethodGet, "/api/backup-target", nil, &target)
	return target, err
}

// SetBackupTarget says where copies of backups go.
func (c *Client) SetBackupTarget(ctx context.Context, target agent.BackupTarget) (agent.BackupTarget, error) {
	var set agent.BackupTarget
	err := c.callWithin(ctx, slowTimeout, http.MethodPut, "/api/backup-target", target, &set)
	return set, err
}

// FindService tells where a connection to a service would go now.
func (c *Client) FindService(ctx context.Context, name string) (agent.InstanceTarget, error) {
	var target agent.InstanceTarget
	err := c.call(ctx, http.MethodGet, servicePath(name, "/port-forward"), nil, &target)
	return target, err
}

// ForwardService connects conn to a service, until either end is done. It
// closes conn.
func (c *Client) ForwardService(ctx context.Context, name string, conn io.ReadWriteCloser) error {
	return c.forward(ctx, servicePath(name, "/port-forward"), conn)
}

func (c *Client) job(ctx context.Context, method, path string, in any) (agent.ServiceJob, error) {
	var job agent.ServiceJob
	err := c.callWithin(ctx, slowTimeout, method, path, in, &job)
	return job, err
}
