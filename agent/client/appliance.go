package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hks.dev/hks/agent"
)

const applianceBackupsPath = "/api/appliance/backups"

func applianceBackupPath(id int64, more string) string {
	return applianceBackupsPath + "/" + strconv.FormatInt(id, 10) + more
}

// ApplianceBackups tells how the appliance is kept.
func (c *Client) ApplianceBackups(ctx context.Context) (agent.ApplianceBackups, error) {
	var state agent.ApplianceBackups
	return state, c.call(ctx, http.MethodGet, applianceBackupsPath, nil, &state)
}

// ApplianceBackup returns one archive of the appliance.
func (c *Client) ApplianceBackup(ctx context.Context, id int64) (agent.ApplianceBackup, error) {
	var b agent.ApplianceBackup
	return b, c.call(ctx, http.MethodGet, applianceBackupPath(id, ""), nil, &b)
}

// BackUpAppliance asks for an archive of the appliance.
func (c *Client) BackUpAppliance(ctx context.Context, volumes bool) (agent.ApplianceJob, error) {
	var job agent.ApplianceJob
	return job, c.call(ctx, http.MethodPost, applianceBackupsPath, map[string]bool{"volumes": volumes}, &job)
}

// DrillAppliance asks for a drill over an archive; 0 means the newest.
func (c *Client) DrillAppliance(ctx context.Context, id int64) (agent.ApplianceJob, error) {
	path := "/api/appliance/drill"
	if id != 0 {
		path = applianceBackupPath(id, "/drill")
	}
	var job agent.ApplianceJob
	return job, c.call(ctx, http.MethodPost, path, nil, &job)
}

// DeleteApplianceBackup removes an archive and its copy elsewhere.
func (c *Client) DeleteApplianceBackup(ctx context.Context, id int64) error {
	return c.callWithin(ctx, slowTimeout, http.MethodDelete, applianceBackupPath(id, ""), nil, nil)
}

// ApplianceJob returns one job of the appliance.
func (c *Client) ApplianceJob(ctx context.Context, id int64) (agent.ApplianceJob, error) {
	var job agent.ApplianceJob
	return job, c.call(ctx, http.MethodGet, "/api/appliance/jobs/"+strconv.FormatInt(id, 10), nil, &job)
}

// FollowApplianceJob tells each new step of a job until it has ended, over an
// appliance that is away for a while.
func (c *Client) FollowApplianceJob(ctx context.Context, job agent.ApplianceJob, on func(agent.JobStep)) (agent.ApplianceJob, error) {
	told, alive := 0, time.Now()
	for {
		if told > len(job.Steps) {
			told = 0 // the agent began it again
		}
		for ; told < len(job.Steps); told++ {
			on(job.Steps[told])
		}
		if job.Status.Done() {
			return job, nil
		}
		if err := sleep(ctx, jobPause); err != nil {
			return job, err
		}
		now, err := c.ApplianceJob(ctx, job.ID)
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

// DownloadApplianceBackup writes an archive as it is, encrypted, and fails
// unless it arrives as it was made.
func (c *Client) DownloadApplianceBackup(ctx context.Context, b agent.ApplianceBackup, to io.Writer) error {
	req, err := c.request(ctx, http.MethodGet, applianceBackupPath(b.ID, "/archive"), nil)
	if err != nil {
		return err
	}
	answer, err := c.send(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // only read from
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, hash), answer.Body)
	if err != nil {
		return c.broken(ctx, err)
	}
	if n != b.Bytes || hex.EncodeToString(hash.Sum(nil)) != b.SHA256 {
		return agent.Errorf(agent.CodeConflict, "download it again; if that happens again, try it: hks appliance drill "+strconv.FormatInt(b.ID, 10), "the archive did not arrive as it was made: %d bytes of %d", n, b.Bytes)
	}
	return nil
}

// RecoveryKey shows the key that opens the archives.
func (c *Client) RecoveryKey(ctx context.Context) (agent.RecoveryKey, error) {
	var key agent.RecoveryKey
	return key, c.call(ctx, http.MethodPost, "/api/appliance/recovery-key", nil, &key)
}

// Update tells of a newer version; with look it is looked for now.
func (c *Client) Update(ctx context.Context, look bool) (agent.Update, error) {
	method := http.MethodGet
	if look {
		method = http.MethodPost
	}
	var update agent.Update
	return update, c.call(ctx, method, "/api/appliance/update", nil, &update)
}

// Audit lists who asked for which change, newest first.
func (c *Client) Audit(ctx context.Context, q agent.AuditQuery) ([]agent.AuditEntry, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}, "failed": {strconv.FormatBool(q.Failed)}}
	for name, value := range map[string]string{"who": q.Who, "token": q.Token, "text": q.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Before > 0 {
		query.Set("before", fmt.Sprint(q.Before))
	}
	var entries []agent.AuditEntry
	return entries, c.call(ctx, http.MethodGet, "/api/audit?"+query.Encode(), nil, &entries)
}

// Sessions lists the logins of browsers.
func (c *Client) Sessions(ctx context.Context) ([]agent.Session, error) {
	var sessions []agent.Session
	return sessions, c.call(ctx, http.MethodGet, "/api/sessions", nil, &sessions)
}

// EndSession logs a browser out.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api/sessions/"+url.PathEscape(id), nil, nil)
}
