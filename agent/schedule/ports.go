package schedule

import (
	"context"
	"log/slog"
	"time"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/store"
)

// Store keeps the jobs and the ledger of their runs.
type Store interface {
	Jobs
	Runs
}

// Jobs keeps cron jobs.
type Jobs interface {
	CronJobs(ctx context.Context) ([]store.CronJob, error)
	CronJob(ctx context.Context, name string) (store.CronJob, bool, error)
	PutCronJob(ctx context.Context, j store.CronJob) error
	DeleteCronJob(ctx context.Context, name string) error
}

// Runs keeps the ledger. DecideCron is what makes a slot run once.
type Runs interface {
	DecideCron(ctx context.Context, job string, cursor time.Time, runs []agent.CronRun) ([]agent.CronRun, error)
	CronRuns(ctx context.Context, job string, limit int) ([]agent.CronRun, error)
	UnfinishedCronRuns(ctx context.Context) ([]agent.CronRun, error)
	CronRun(ctx context.Context, id int64) (agent.CronRun, bool, error)
	PutCronRun(ctx context.Context, r agent.CronRun) error
}

// Executor runs things of one kind.
type Executor interface {
	// Check refuses a target that can't be run.
	Check(ctx context.Context, target agent.CronTarget) error
	// Run begins the run, or goes on with it after a restart of the agent, and
	// returns when it has ended or ctx has.
	Run(ctx context.Context, job agent.CronJob, run agent.CronRun) (Outcome, error)
	// End stops what still runs; that nothing does is fine.
	End(ctx context.Context, job agent.CronJob, run agent.CronRun) error
}

// Outcome is how a run ended.
type Outcome struct {
	Failed   bool
	Message  string // why it failed
	ExitCode *int
	Output   []byte // what it printed, or answered
}

// Config is what the manager needs.
type Config struct {
	Store      Store
	Containers Executor
	Functions  Executor // nil: there are no functions
	Limit      func(ctx context.Context) (plan agent.Plan, err error)
	Dir        string // of the runs' output

	Prewarm func(ctx context.Context, function string)                  // called a moment before a function's slot; default nothing
	Ended   func(ctx context.Context, j agent.CronJob, r agent.CronRun) // told of each run's end; default nothing
	Publish func(kind, name string, data any)
	Record  func(context.Context, agent.Activity)
	Now     func() time.Time
	Log     *slog.Logger
}
