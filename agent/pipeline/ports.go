package pipeline

import (
	"context"
	"io"

	"hks.dev/hks/agent"
)

// Store keeps the connection, pipelines, runs and deliveries.
type Store interface {
	Connections
	Pipelines
	Runs
}

// Connections keeps the connection to GitHub.
type Connections interface {
	PutGitHub(ctx context.Context, g agent.GitHub, token string) error
	GitHub(ctx context.Context) (g agent.GitHub, token string, err error)
	RemoveGitHub(ctx context.Context) error
}

// Pipelines keeps pipelines and what came in by their webhooks.
type Pipelines interface {
	AddPipeline(ctx context.Context, p agent.Pipeline, hookSecret string) (bool, error)
	UpdatePipeline(ctx context.Context, p agent.Pipeline) error
	Pipelines(ctx context.Context) ([]agent.Pipeline, error)
	RemovePipeline(ctx context.Context, name string) error
	HookSecret(ctx context.Context, name string) (secret string, ok bool, err error)
	AddDelivery(ctx context.Context, d agent.Delivery) (fresh bool, err error)
	Deliveries(ctx context.Context, pipeline string) ([]agent.Delivery, error)
}

// Runs keeps runs.
type Runs interface {
	AddRun(ctx context.Context, r agent.Run, onlyNew bool) (run agent.Run, added bool, superseded []agent.Run, err error)
	UpdateRun(ctx context.Context, r agent.Run) (bool, error)
	Run(ctx context.Context, id int64) (r agent.Run, ok bool, err error)
	Runs(ctx context.Context, pipeline string) ([]agent.Run, error)
	UnfinishedRuns(ctx context.Context) ([]agent.Run, error)
}

// Host is where repositories are.
type Host interface {
	URL() string
	Login(ctx context.Context) (string, error)
	Repositories(ctx context.Context) ([]agent.GitRepository, error)
	Repository(ctx context.Context, name string) (agent.GitRepository, error)
	Head(ctx context.Context, repository, branch, known string) (commit agent.Commit, changed bool, err error)
	AddHook(ctx context.Context, repository, target, secret string) (int64, error)
	RemoveHook(ctx context.Context, repository string, id int64) error
	SetStatus(ctx context.Context, repository, sha, state, words, target string) error
	Clone(ctx context.Context, repository, sha, folder string) error
}

// Builder builds a source and releases what it makes.
type Builder interface {
	Submit(ctx context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error)
	List(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error)
	Get(ctx context.Context, id int64) (agent.Build, error)
	Cancel(ctx context.Context, id int64, by string) (agent.Build, error)
}

// Releases tells how far a release is.
type Releases interface {
	Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error)
}
