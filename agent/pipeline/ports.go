package pipeline

import (
	"context"
	"io"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Store keeps the connection, pipelines, runs and deliveries.
type Store interface {
	Connections
	Pipelines
	Settings
	Runs
	Pulls
}

// Settings keeps the variables of pipelines.
type Settings interface {
	PutPipelineEnv(ctx context.Context, pipeline string, env agent.PipelineEnv) error
	PipelineEnv(ctx context.Context, pipeline string) ([]agent.PipelineVariable, error)
	PutGitSecret(ctx context.Context, pipeline string, secret agent.GitSecret) error
	GitSecret(ctx context.Context, pipeline string) (agent.GitSecret, error)
	SetPipelineHead(ctx context.Context, pipeline, sha string) error
	PutTag(ctx context.Context, pipeline string, t store.Tag) error
	Tags(ctx context.Context, pipeline string) ([]store.Tag, error)
}

// Pulls keeps what is known of pull requests.
type Pulls interface {
	PullHeads(ctx context.Context, pipeline string) (map[int]string, error)
	ForgetPull(ctx context.Context, pipeline string, number int) error
	Previews(ctx context.Context) ([]agent.Preview, error)
	EndPreview(ctx context.Context, pipeline string, number int) error
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
	PutTests(ctx context.Context, r agent.Run, tests []agent.TestCase) error
	Tests(ctx context.Context, r agent.Run) ([]agent.TestCase, error)
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
	Permissions(ctx context.Context, repository string) ([]agent.GitPermission, error)
	Source
	Reporter
}

// Remotes opens plain git repositories.
type Remotes interface {
	Open(p agent.Pipeline, secret agent.GitSecret) (Host, error)
	Parse(address string) (string, error)
	NewKey(comment string) (private, public string, err error)
	HostKey(ctx context.Context, address string) (line, fingerprint string, err error)
	Fingerprint(line string) (string, error)
}

// GitHubApps are made and asked for before there is a host to speak to.
type GitHubApps interface {
	Manifest(api, organization, name, home, redirect, state string) (action string, manifest []byte, err error)
	Convert(ctx context.Context, api, code string) (app agent.GitHubApp, key string, err error)
	Installed(ctx context.Context, api string, id int64, key string) (agent.GitHubApp, []agent.GitHubInstallation, error)
}

// Source is what is in a repository.
type Source interface {
	Clone(ctx context.Context, repository, sha, folder string) error
	// Changed names the files that differ between two commits; all is true
	// when they can't be told, or are too many.
	Changed(ctx context.Context, repository, from, to string) (files []string, all bool, err error)
	// Pulls lists the pull requests that are open; all is false when there are more.
	Pulls(ctx context.Context, repository string) (pulls []agent.Pull, all bool, err error)
	Tags(ctx context.Context, repository string) (map[string]string, error)
}

// Reporter shows at the repository what became of a commit.
type Reporter interface {
	SetStatus(ctx context.Context, repository, sha, state, words, target string) error
	AddDeployment(ctx context.Context, repository, sha, environment, words string) (int64, error)
	SetDeployment(ctx context.Context, repository string, id int64, state, words string) error
}

// Builder builds a source and releases what it makes.
type Builder interface {
	Submit(ctx context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error)
	List(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error)
	Get(ctx context.Context, id int64) (agent.Build, error)
	Cancel(ctx context.Context, id int64, by string) (agent.Build, error)
	Tests(ctx context.Context, id int64) ([]agent.TestCase, error)
}

// Apps are what runs deploy to.
type Apps interface {
	Get(ctx context.Context, app string, env agent.Environment) (agent.App, error)
	Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error)
	Releases(ctx context.Context, app string, env agent.Environment) ([]agent.Release, error)
	Again(ctx context.Context, app string, env agent.Environment, number int, by string) (agent.Release, error)
	Promote(ctx context.Context, app string, from, to agent.Environment, by string) (agent.Release, error)
	Delete(ctx context.Context, app string, env agent.Environment, by string) (agent.Deletion, error)
}
