package market

import (
	"context"
	"io"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/helm"
)

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
}

// Workspace tells where services live and how much of it is left.
type Workspace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Helm puts charts into the cluster.
type Helm interface {
	Install(ctx context.Context, r helm.Release) error
	Upgrade(ctx context.Context, r helm.Release) error
	Uninstall(ctx context.Context, namespace, name string) error
	Recover(ctx context.Context, namespace, name string) (helm.Recovery, error)
	Diff(ctx context.Context, r helm.Release) ([]agent.Change, error)
	Test(ctx context.Context, namespace, name string) error
}

// Shell runs programs in pods and connects to their ports.
type Shell interface {
	Exec(ctx context.Context, target agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (exitCode int, err error)
	Dial(ctx context.Context, target agent.InstanceTarget) (agent.Tunnel, error)
}

// Apps changes the environment of apps, each time by a release.
type Apps interface {
	// SetEnv lays values over an app's environment and takes names away.
	SetEnv(ctx context.Context, app string, env agent.Environment, set map[string]string, unset []string, by string) (agent.Release, error)
	// EnvNames lists the names in an app's environment.
	EnvNames(ctx context.Context, app string, env agent.Environment) ([]string, error)
	// Release returns one release.
	Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error)
}

// Volumes are the disks of services.
type Volumes interface {
	// Discard deletes a claim with its data, at once.
	Discard(ctx context.Context, namespace, claim string) error
	// Room refuses size bytes more where the machine's disk has no room.
	Room(size int64) error

	Bring(ctx context.Context, claims []string, node string, stopped bool) (agent.Bring, error)
	Undo(ctx context.Context, claims []string) (settled bool, err error)
	Confirm(ctx context.Context, claims []string) error
}

// Places are where instances can run.
type Places interface {
	// PlanPlace tells what bringing something there would take.
	PlanPlace(ctx context.Context, from, to string, needs agent.Amounts, claims []string) (agent.MovePlan, error)
	// VolumeNode is the node of a place for volumes; "" where none is made yet.
	VolumeNode(ctx context.Context, claims []string, place string) (string, error)
}

// Remote keeps copies of backups elsewhere.
type Remote interface {
	// Check tells whether the target can be written to and read from.
	Check(ctx context.Context, target agent.BackupTarget) error
	// Put copies a file there and returns its address once it is whole.
	Put(ctx context.Context, target agent.BackupTarget, key string, file io.Reader, bytes int64, sha256 string) (address string, err error)
	// Get reads a copy; the caller closes it.
	Get(ctx context.Context, target agent.BackupTarget, key string) (io.ReadCloser, error)
	// Remove takes a copy away; one that is not there is fine.
	Remove(ctx context.Context, target agent.BackupTarget, key string) error
}
