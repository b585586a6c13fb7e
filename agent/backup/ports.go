package backup

import (
	"context"
	"io"
	"log/slog"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/config"
	"hks.dev/hks/agent/store"
)

// Ledger keeps jobs, archives and the key.
type Ledger interface {
	AddApplianceJob(ctx context.Context, j agent.ApplianceJob) (agent.ApplianceJob, error)
	PutApplianceJob(ctx context.Context, j agent.ApplianceJob, lease time.Time) error
	RenewApplianceLease(ctx context.Context, id int64, until time.Time) error
	ApplianceJob(ctx context.Context, id int64) (agent.ApplianceJob, bool, error)
	ApplianceJobs(ctx context.Context) ([]agent.ApplianceJob, error)
	AddApplianceBackup(ctx context.Context, b agent.ApplianceBackup, place func() error) (agent.ApplianceBackup, error)
	ApplianceBackup(ctx context.Context, id int64) (agent.ApplianceBackup, bool, error)
	ApplianceBackups(ctx context.Context) ([]agent.ApplianceBackup, error)
	PutApplianceCopy(ctx context.Context, id int64, remote, failure string) error
	PutApplianceDrill(ctx context.Context, d agent.ApplianceDrill) error
	RemoveApplianceBackup(ctx context.Context, id int64) error
	RecoveryKey(ctx context.Context) (key string, shown time.Time, ok bool, err error)
	AddRecoveryKey(ctx context.Context, key string) error
	ShowRecoveryKey(ctx context.Context) error
	BackupTarget(ctx context.Context) (agent.BackupTarget, bool, error)
	Volumes(ctx context.Context) ([]store.Volume, error)
	BackupTo(ctx context.Context, file string) error
}

// Disks copies volumes.
type Disks interface {
	Snapshot(ctx context.Context, id, to string) (paused time.Duration, err error)
	Thaw(id string) error
}

// Remote is a store elsewhere.
type Remote interface {
	Put(ctx context.Context, target agent.BackupTarget, key string, file io.Reader, bytes int64, sha256 string) (string, error)
	Get(ctx context.Context, target agent.BackupTarget, key string) (io.ReadCloser, error)
	Remove(ctx context.Context, target agent.BackupTarget, key string) error
}

// Config is what the manager needs. Ended, Publish, Record, Now, FreeSpace and
// Log may be nil.
type Config struct {
	Ledger   Ledger
	Disks    Disks
	Remote   Remote
	Settings config.Config
	Version  string
	Node     string                                        // the machine's name in its cluster
	Address  func() string                                 // of the machine, now
	Plan     func(ctx context.Context) (agent.Plan, error) // in force

	Ended     func(ctx context.Context, j agent.ApplianceJob)
	Publish   func(kind, subject string, object any)
	Record    func(ctx context.Context, activity agent.Activity)
	FreeSpace func(folder string) (int64, error)
	Now       func() time.Time
	Log       *slog.Logger
}
