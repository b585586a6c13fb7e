package volume

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/disk"
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
	Copies
}

// Copies are disks as they are carried from one machine to another.
type Copies interface {
	Sums(ctx context.Context, id string) ([]disk.Sum, error)
	ReadChunk(ctx context.Context, id string, n int) ([]byte, error)
	Accept(ctx context.Context, id string, size int64) error
	WriteChunk(ctx context.Context, id string, n int, data []byte) error
	Seal(ctx context.Context, id, digest string) error
}

// Ledger keeps what was begun.
type Ledger interface {
	Volumes(ctx context.Context) ([]store.Volume, error)
	Volume(ctx context.Context, id string) (store.Volume, bool, error)
	PutVolume(ctx context.Context, v store.Volume) error
	ForgetVolume(ctx context.Context, id string) error

	VolumeMoves(ctx context.Context) ([]store.VolumeMove, error)
	VolumeMove(ctx context.Context, namespace, claim string) (store.VolumeMove, bool, error)
	PutVolumeMove(ctx context.Context, m store.VolumeMove, volumes ...store.Volume) error
	EndVolumeMove(ctx context.Context, namespace, claim string, volumes ...store.Volume) error
}

// Config is what the manager needs; what follows Grace may be nil.
type Config struct {
	Cluster   Cluster
	Workspace Workspace
	Disks     Disks
	Ledger    Ledger
	Node      string        // this machine's
	Grace     time.Duration // how long a volume stays that is nobody's any more

	// Remote are the disks of a machine that has joined, by the name of its
	// node. CodeNotFound: there is no such machine, or not any more.
	Remote func(ctx context.Context, node string) (Disks, error)

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
