package volume

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
}

// Workspace tells where claims are and how much storage is left.
type Workspace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Disks are the filesystems themselves.
type Disks interface {
	Make(ctx context.Context, id string, size int64) error
	Mount(ctx context.Context, id string) error
	Grow(ctx context.Context, id string, size int64) error
	Unmount(id string) error
	Idle(id string) (bool, error)
	Remove(ctx context.Context, id string) error
	Exists(id string) (bool, error)
	Data(id string) string
	Fill(id string) (used, size int64, ok bool)
	Room(size int64) error
}

// Ledger keeps what was begun.
type Ledger interface {
	Volumes(ctx context.Context) ([]store.Volume, error)
	Volume(ctx context.Context, id string) (store.Volume, bool, error)
	PutVolume(ctx context.Context, v store.Volume) error
	ForgetVolume(ctx context.Context, id string) error
}

// Config is what the manager needs; what follows Grace may be nil.
type Config struct {
	Cluster   Cluster
	Workspace Workspace
	Disks     Disks
	Ledger    Ledger
	Node      string        // this machine's, the only one with disks
	Grace     time.Duration // how long a volume stays that is nobody's any more

	// Removed tells until when claims of removed services stay, by claim.
	Removed func(ctx context.Context) (map[string]time.Time, error)

	// FullIn forecasts when a claim's filesystem is full; not ok where it does
	// not fill steadily.
	FullIn func(claim string) (left time.Duration, ok bool)

	Publish func(kind, subject string, object any)
	Record  func(ctx context.Context, activity agent.Activity)
	Now     func() time.Time
	Log     *slog.Logger
}
