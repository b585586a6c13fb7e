package double

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/backup"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/store"
)

// newAppliance makes the real keeper of archives over a datastore that is made
// up, since there is no cluster.
func newAppliance(ctx context.Context, db *store.Store, settings config.Config, key []byte, plan func(context.Context) (agent.Plan, error), publish func(string, string, any), record func(context.Context, agent.Activity)) (*backup.Manager, error) {
	paths := settings.Paths()
	server := filepath.Join(paths.K3sData(), "server")
	if err := os.MkdirAll(filepath.Join(server, "db"), 0o700); err != nil {
		return nil, fmt.Errorf("making a datastore: %w", err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(server, "token"), []byte("K10double::server:double\n"), 0o600), os.WriteFile(paths.State("secret.key"), key, 0o600)); err != nil {
		return nil, fmt.Errorf("making a datastore: %w", err)
	}
	made, err := sql.Open("sqlite3", filepath.Join(server, "db/state.db"))
	if err != nil {
		return nil, fmt.Errorf("making a datastore: %w", err)
	}
	_, err = made.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO kine (name) VALUES ('/registry/health')`)
	if err := errors.Join(err, made.Close()); err != nil {
		return nil, fmt.Errorf("making a datastore: %w", err)
	}
	return backup.New(backup.Config{
		Ledger: db, Disks: noDisks{}, Remote: nowhere{}, Settings: settings, Version: "0.1.0-double", Node: "double", Address: func() string { return "192.0.2.2" },
		Plan: plan, Publish: publish, Record: record,
	})
}

// updates knows of one newer version.
type updates struct{}

func (updates) Update(context.Context) agent.Update {
	return agent.Update{Enabled: true, Current: "0.1.0-double", Latest: "0.2.0", Available: true, Notes: "https://example.com/0.2.0", CheckedAt: time.Now().UTC()}
}

func (u updates) Look(ctx context.Context) agent.Update { return u.Update(ctx) }

type noDisks struct{}

func (noDisks) Snapshot(_ context.Context, id, _ string) (time.Duration, error) {
	return 0, fmt.Errorf("there is no disk %s", id)
}

func (noDisks) Thaw(string) error { return nil }

type nowhere struct{}

func (nowhere) Put(context.Context, agent.BackupTarget, string, io.Reader, int64, string) (string, error) {
	return "", errors.New("there is no store elsewhere")
}

func (nowhere) Get(context.Context, agent.BackupTarget, string) (io.ReadCloser, error) {
	return nil, errors.New("there is no store elsewhere")
}

func (nowhere) Remove(context.Context, agent.BackupTarget, string) error { return nil }
