package agent

import "time"

// CronJob runs something at times that a cron expression names.
type CronJob struct {
	Name        string        `json:"name"`
	Schedule    string        `json:"schedule"` // five fields, or @hourly and the like
	TimeZone    string        `json:"timeZone"` // IANA name such as Europe/Vienna
	Target      CronTarget    `json:"target"`
	Concurrency string        `json:"concurrency"` // when one is still running: forbid, allow, replace, queue
	CatchUp     string        `json:"catchUp"`     // of runs missed while the appliance was away: none, one, all
	Deadline    time.Duration `json:"deadline"`    // a run that begins later than this after its time was missed; nanoseconds
	Timeout     time.Duration `json:"timeout"`     // a run that takes longer is ended; nanoseconds
	Paused      bool          `json:"paused,omitempty"`
	Next        []time.Time   `json:"next"` // the next five, none while paused
	Last        *CronRun      `json:"last,omitempty"`
	By          string        `json:"by"`
	CreatedAt   time.Time     `json:"createdAt"`
	UpdatedAt   time.Time     `json:"updatedAt"`
}

// CronTarget is what a cron job runs: a function, or a command in a container
// of an image or of an app's component. Exactly one of Function, Image and App
// is set.
type CronTarget struct {
	Function    string      `json:"function,omitempty"`
	Payload     string      `json:"payload,omitempty"` // of a function's call, JSON
	Trigger     int         `json:"trigger,omitempty"` // which of the function's own triggers it is; 0: made by hand
	Image       string      `json:"image,omitempty"`
	App         string      `json:"app,omitempty"` // with the image and the environment of its serving release
	Environment Environment `json:"environment,omitempty"`
	Component   string      `json:"component,omitempty"` // default: the app's main one
	Command     []string    `json:"command,omitempty"`   // overrides the image's entry point
}

// What a cron job does when the run before is still going.
const (
	ConcurrencyForbid  = "forbid"  // the new one is cancelled
	ConcurrencyAllow   = "allow"   // both run
	ConcurrencyReplace = "replace" // the old one is cancelled
	ConcurrencyQueue   = "queue"   // the new one waits
)

// What a cron job does about runs that were missed.
const (
	CatchUpNone = "none"
	CatchUpOne  = "one" // the latest of them
	CatchUpAll  = "all" // up to a hundred
)

// CronRun is one run of a cron job.
type CronRun struct {
	ID         int64     `json:"id"`
	Job        string    `json:"job"`
	Slot       time.Time `json:"slot"` // the time it was for
	Manual     bool      `json:"manual,omitempty"`
	Status     RunStatus `json:"status"`
	Message    string    `json:"message,omitempty"`
	ExitCode   *int      `json:"exitCode,omitempty"`
	By         string    `json:"by,omitempty"` // of a run by hand
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}
