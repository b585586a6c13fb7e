package function

import (
	"context"
	"time"

	"k8s.io/client-go/kubernetes"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/buildkit"
	"hks.dev/hks/agent/store"
)

// Store keeps functions, versions and asynchronous calls.
type Store interface {
	PutFunction(ctx context.Context, name string, key []byte) error
	Functions(ctx context.Context) ([]store.Function, error)
	SetFunctionEnv(ctx context.Context, name string, env map[string]string) error
	DeleteFunction(ctx context.Context, name string) error
	AddFunctionVersion(ctx context.Context, v agent.FunctionVersion, place func(number int) error) (agent.FunctionVersion, error)
	FunctionVersions(ctx context.Context, name string) ([]agent.FunctionVersion, error)
	UpdateFunctionVersion(ctx context.Context, v agent.FunctionVersion) error
	ActivateFunction(ctx context.Context, v agent.FunctionVersion) error
	Letters
}

// Letters keeps asynchronous calls.
type Letters interface {
	AddLetter(ctx context.Context, function string, call agent.FunctionCall) (agent.FunctionLetter, error)
	LeaseLetters(ctx context.Context, lease time.Duration, most int) ([]agent.FunctionLetter, error)
	Letters(ctx context.Context, function string) ([]agent.FunctionLetter, error)
	EndLetter(ctx context.Context, id int64, status, message string, next time.Time) error
	RedriveLetters(ctx context.Context, function string) (int64, error)
}

// Cluster is the connection to Kubernetes.
type Cluster interface {
	Interface() kubernetes.Interface
}

// Workspace tells where functions live, and the plan.
type Workspace interface {
	Current(ctx context.Context) (agent.Workspace, error)
}

// Images finds what pods pull.
type Images interface {
	Resolve(ctx context.Context, ref string) (image, digest string, err error)
}

// Builder resolves the dependencies of a source.
type Builder interface {
	Solve(ctx context.Context, job buildkit.Job, on func(buildkit.Event)) (buildkit.Result, error)
}

// Schedules keeps the cron jobs that functions ask for in their triggers.
type Schedules interface {
	// CheckTriggers refuses those that can't be, or that the plan has no room for.
	CheckTriggers(ctx context.Context, function string, triggers []agent.FunctionTrigger) error
	// FollowTriggers makes, changes and deletes the function's cron jobs.
	FollowTriggers(ctx context.Context, function string, triggers []agent.FunctionTrigger, by string) error
}

// Gateway carries the calls.
type Gateway interface {
	// SetFunctions tells what there is; a late table is ignored.
	SetFunctions(ctx context.Context, table agent.FunctionTable) error
	// FunctionLoads tells what each instance does, by its address.
	FunctionLoads(ctx context.Context) (map[string]agent.FunctionLoad, error)
	// ReleaseFunction takes an instance out of use if it has had no call for so
	// long; false when it has.
	ReleaseFunction(ctx context.Context, name, address string, idle time.Duration) (bool, error)
	// CallFunction calls as any client does, without the key.
	CallFunction(ctx context.Context, name string, call agent.FunctionCall) (agent.FunctionAnswer, error)
}
