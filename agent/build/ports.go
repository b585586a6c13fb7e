package build

import (
	"context"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
)

// Store keeps builds.
type Store interface {
	AddBuild(ctx context.Context, b agent.Build, request agent.BuildRequest, place func(id int64) error) (agent.Build, error)
	Build(ctx context.Context, id int64) (b agent.Build, ok bool, err error)
	BuildRequest(ctx context.Context, id int64) (agent.BuildRequest, error)
	Builds(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error)
	UnfinishedBuilds(ctx context.Context) ([]agent.Build, error)
	StartBuild(ctx context.Context, id int64) (attempt int, err error)
	PauseBuild(ctx context.Context, id int64) error
	UpdateBuild(ctx context.Context, id int64, components []agent.BuildComponent) error
	FinishBuild(ctx context.Context, id int64, status agent.RunStatus, release int, failure *agent.Failure) (finished bool, gone []int64, err error)
}

// Builder makes an image.
type Builder interface {
	Solve(ctx context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error)
}

// Cache is what the builder keeps for later builds.
type Cache interface {
	DiskUsage(ctx context.Context) (buildkit.Usage, error)
	Prune(ctx context.Context, all bool) (freed int64, err error)
}

// Deployer releases what was built. With Deploy.Build set the build ends in the
// same moment in which the release is accepted.
type Deployer interface {
	Check(ctx context.Context, app string, env agent.Environment, d agent.Deploy) error
	Deploy(ctx context.Context, app string, env agent.Environment, d agent.Deploy, by string) (agent.Release, error)
}

// Bases tells which base images the appliance carries, as REGISTRY/NAME:TAG.
type Bases interface {
	Bases(ctx context.Context) ([]string, error)
}
