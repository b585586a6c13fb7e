package app

import (
	"context"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
)

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
}

// Workspace tells where apps live and how much of it is left.
type Workspace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Images finds what pods pull for a reference the owner wrote. An image of
// the appliance's own registry comes back by digest; digest is empty for one
// that only its registry knows.
type Images interface {
	Resolve(ctx context.Context, ref string) (image, digest string, err error)
}

// RouteChecker asks a URL through the gateway until it answers or gives up.
type RouteChecker interface {
	Check(ctx context.Context, url string) error
}

// Sampler tells what a pod takes now.
type Sampler interface {
	Usage(namespace, pod string) agent.Usage
}
