package workspace

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/kube"
	"hks.dev/hks/agent/store"
)

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
	KubeconfigFor(user kube.KubeconfigUser) ([]byte, error)
}

// Store keeps the workspace's row.
type Store interface {
	Workspace(ctx context.Context) (store.Workspace, bool, error)
	PutWorkspace(ctx context.Context, w store.Workspace) error
}

// Plans knows the limits.
type Plans interface {
	Lookup(name string) (agent.Plan, error)
}

// Occupant tells whether anything is deployed in the workspace.
type Occupant interface {
	Occupied(ctx context.Context) (bool, error)
}

// OccupantFunc is a function as an Occupant, such as (*store.Store).HasApps.
type OccupantFunc func(ctx context.Context) (bool, error)

// Occupied calls the function.
func (f OccupantFunc) Occupied(ctx context.Context) (bool, error) { return f(ctx) }

// Config is what the manager needs. Cluster, Store, Plans and Occupant are
// required.
type Config struct {
	Cluster  Cluster
	Store    Store
	Plans    Plans
	Plan     string // of a new workspace
	Occupant Occupant

	// ClusterNets are the networks of pods and Services beside those that the
	// cluster itself tells of; default those of k3s.
	ClusterNets []netip.Prefix
	// HostAddresses lists the machine's own addresses; default all of its
	// interfaces'.
	HostAddresses func() ([]netip.Addr, error)
	// Server is the API server's URL for the owner's kubectl, as seen from
	// outside; default the node's address.
	Server func() string

	Publish func(kind, subject string, object any)
	Record  func(ctx context.Context, activity agent.Activity)

	Timeout  time.Duration // for making the workspace; default 3 minutes
	Patience time.Duration // with a cluster that does not answer, inside Timeout; default 1 minute
	Poll     time.Duration // between two looks at the cluster; default 200 ms
	Refresh  time.Duration // between two looks at the quota's use; default 10 s
	Repair   time.Duration // between two repairs of what others changed; default 5 minutes
	Now      func() time.Time
	Log      *slog.Logger
}
