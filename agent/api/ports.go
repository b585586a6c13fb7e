package api

import (
	"context"
	"io"
	"iter"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Owners keeps the one owner and the one-time link that makes it.
type Owners interface {
	PasswordHash(ctx context.Context) (string, error)
	ReplacePasswordHash(ctx context.Context, before, after string) error
	PutSetupLink(ctx context.Context, hash []byte, expires time.Time) error
	PutResetLink(ctx context.Context, hash []byte, expires time.Time, revokeTokens bool) error
	SetupLink(ctx context.Context, hash []byte) (expires time.Time, ok bool, err error)
	SetUp(ctx context.Context, link []byte, passwordHash string, first store.Session, secret []byte) error
}

// Sessions keeps the logins of browsers.
type Sessions interface {
	AddSession(ctx context.Context, session store.Session, secret []byte, replaces string) error
	Session(ctx context.Context, secret []byte) (store.Session, bool, error)
	TouchSession(ctx context.Context, id string) error
	RemoveSession(ctx context.Context, id string) error
	Sessions(ctx context.Context, idle time.Duration) ([]agent.Session, error)
}

// Tokens keeps the API tokens.
type Tokens interface {
	AddToken(ctx context.Context, token agent.Token, secret []byte) error
	Token(ctx context.Context, secret []byte) (agent.Token, bool, error)
	Tokens(ctx context.Context) ([]agent.Token, error)
	TouchToken(ctx context.Context, id string) error
	RemoveToken(ctx context.Context, id string) (bool, error)
}

// Identities is what the store keeps of who may use the appliance.
type Identities interface {
	Owners
	Sessions
	Tokens
}

// Activities keeps what happened, for people.
type Activities interface {
	AddActivity(ctx context.Context, activity agent.Activity) (agent.Activity, error)
	Activities(ctx context.Context, limit int) ([]agent.Activity, error)
}

// Workspaces is the owner's one workspace.
type Workspaces interface {
	Current(ctx context.Context) (agent.Workspace, error)
	Create(ctx context.Context, name, by string) (agent.Workspace, error)
	Rename(ctx context.Context, name, by string) (agent.Workspace, error)
	Kubeconfig(ctx context.Context) ([]byte, error)
}

// Apps is the owner's applications.
type Apps interface {
	AppList
	AppReleases
	AppActions
	AppLogs
}

// AppList reads and deletes applications.
type AppList interface {
	List(ctx context.Context) ([]agent.App, error)
	Get(ctx context.Context, app string, env agent.Environment) (agent.App, error)
	Delete(ctx context.Context, app string, env agent.Environment, by string) (agent.Deletion, error)
}

// AppReleases makes and reads releases.
type AppReleases interface {
	Deploy(ctx context.Context, app string, env agent.Environment, deploy agent.Deploy, by string) (agent.Release, error)
	Releases(ctx context.Context, app string, env agent.Environment) ([]agent.Release, error)
	Release(ctx context.Context, app string, env agent.Environment, number int) (agent.Release, error)
	Progress(ctx context.Context, app string, env agent.Environment, number int) iter.Seq2[agent.Progress, error]
	Rollback(ctx context.Context, app string, env agent.Environment, number int, by string) (agent.Release, error)
	Move(ctx context.Context, app string, env agent.Environment, to, by string) (agent.Release, error)
	PlanMove(ctx context.Context, app string, env agent.Environment, to string) (agent.MovePlan, error)
	Promote(ctx context.Context, app string, from, to agent.Environment, by string) (agent.Release, error)
	Diff(ctx context.Context, app string, env agent.Environment, deploy agent.Deploy) ([]agent.Change, error)
}

// AppActions changes how an application runs, without a new release.
type AppActions interface {
	RestartApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error)
	StopApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error)
	StartApp(ctx context.Context, app string, env agent.Environment, by string) (agent.App, error)
	Scale(ctx context.Context, app string, env agent.Environment, component string, to agent.Scale, by string) (agent.App, error)
}

// AppLogs reads what instances print. The sequence ends with ctx.
type AppLogs interface {
	Logs(ctx context.Context, app string, env agent.Environment, query agent.LogQuery) iter.Seq2[agent.LogLine, error]
}

// Shells runs commands in instances and connects to their ports.
type Shells interface {
	Find(ctx context.Context, app string, env agent.Environment, query agent.InstanceQuery) (agent.InstanceTarget, error)
	Exec(ctx context.Context, target agent.InstanceTarget, run agent.Exec, streams agent.ExecStreams) (exitCode int, err error)
	Dial(ctx context.Context, target agent.InstanceTarget) (agent.Tunnel, error)
}

// Series is the samples of an application's use.
type Series interface {
	Series(app string, env agent.Environment, since time.Duration) []agent.Point
}

// Builds makes images from source.
type Builds interface {
	Submit(ctx context.Context, app string, env agent.Environment, request agent.BuildRequest, source io.Reader, by string) (agent.Build, error)
	List(ctx context.Context, app string, env agent.Environment) ([]agent.Build, error)
	Get(ctx context.Context, id int64) (agent.Build, error)
	Cancel(ctx context.Context, id int64, by string) (agent.Build, error)
	CancelAll(ctx context.Context, app string, env agent.Environment, by string) error
	Logs(ctx context.Context, id int64, follow bool) iter.Seq2[agent.BuildLine, error]
	Cache(ctx context.Context) (agent.BuildCache, error)
	PruneCache(ctx context.Context, all bool, by string) (agent.BuildCachePrune, error)
}

// Market is the marketplace: what can be installed, and what is.
type Market interface {
	MarketCharts
	MarketServices
	MarketBackups
	MarketSessions
}

// MarketCharts is what can be installed.
type MarketCharts interface {
	Catalogue(ctx context.Context) ([]agent.CatalogueEntry, error)
	Entry(ctx context.Context, name string) (agent.CatalogueEntry, error)
	AddChart(ctx context.Context, archive io.Reader, by string) (agent.CatalogueEntry, error)
}

// MarketServices is what is installed, and its connections to apps.
type MarketServices interface {
	List(ctx context.Context) ([]agent.Service, error)
	Get(ctx context.Context, name string) (agent.Service, error)
	Install(ctx context.Context, r agent.ServiceRequest, by string) (agent.ServiceJob, error)
	Upgrade(ctx context.Context, name string, u agent.ServiceUpgrade, by string) (agent.ServiceJob, error)
	UpgradeDiff(ctx context.Context, name string, u agent.ServiceUpgrade) ([]agent.Change, error)
	Uninstall(ctx context.Context, name string, force, purge bool, by string) (agent.ServiceJob, error)
	Move(ctx context.Context, name, to, by string) (agent.ServiceJob, error)
	PlanMove(ctx context.Context, name, to string) (agent.MovePlan, error)
	Rotate(ctx context.Context, name, by string) (agent.ServiceJob, error)
	Test(ctx context.Context, name string) error
	Credentials(ctx context.Context, name, by string) (agent.Credentials, error)
	Bind(ctx context.Context, name string, b agent.Bind, by string) (agent.Binding, error)
	Unbind(ctx context.Context, name, app string, env agent.Environment, by string) (agent.Binding, error)
	Job(ctx context.Context, id int64) (agent.ServiceJob, error)
}

// MarketBackups is the backups of what is installed.
type MarketBackups interface {
	Backups(ctx context.Context, name string) ([]agent.Backup, error)
	Backup(ctx context.Context, name, by string) (agent.ServiceJob, error)
	Restore(ctx context.Context, name string, id int64, by string) (agent.ServiceJob, error)
	Verify(ctx context.Context, name string, id int64, by string) (agent.ServiceJob, error)
	DeleteBackup(ctx context.Context, name string, id int64, by string) error
	Target(ctx context.Context) (agent.BackupTarget, error)
	SetTarget(ctx context.Context, target agent.BackupTarget, by string) (agent.BackupTarget, error)
}

// MarketSessions connects to services.
type MarketSessions interface {
	Find(ctx context.Context, name string) (agent.InstanceTarget, error)
	Dial(ctx context.Context, target agent.InstanceTarget) (agent.Tunnel, error)
}

// Images is the appliance's own registry.
type Images interface {
	List(ctx context.Context) ([]agent.Image, error)
	Load(ctx context.Context, tar io.Reader) ([]agent.Image, error)
	Usage(ctx context.Context) (agent.ImageUsage, error)
	Prune(ctx context.Context, dryRun bool, by string) (agent.ImagePrune, error)
	Delete(ctx context.Context, name, by string) (agent.ImagePrune, error)
}

// Systemer tells the state of the appliance's own parts.
type Systemer interface {
	System(ctx context.Context) agent.System
}

// RootCA is the certificate that apps' certificates are signed by, PEM.
type RootCA interface {
	RootCA(ctx context.Context) ([]byte, error)
}
