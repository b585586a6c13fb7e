package agent

import "time"

// RunStatus is where a piece of longer work is in its life.
type RunStatus string

// A run's statuses.
const (
	RunPending   RunStatus = "pending" // accepted, on disk
	RunRunning   RunStatus = "running"
	RunSucceeded RunStatus = "succeeded"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
)

// Done tells whether the status is final.
func (s RunStatus) Done() bool { return s == RunSucceeded || s == RunFailed || s == RunCancelled }

// Build makes the images of an app from its source, and a release of them.
type Build struct {
	ID          int64            `json:"id"`
	App         string           `json:"app"`
	Environment Environment      `json:"environment"`
	Status      RunStatus        `json:"status"`
	Components  []BuildComponent `json:"components"` // known once the source was read
	Release     int              `json:"release,omitempty"`
	By          string           `json:"by"`
	Failure     *Failure         `json:"failure,omitempty"`
	CreatedAt   time.Time        `json:"createdAt"`
	StartedAt   time.Time        `json:"startedAt,omitzero"`
	FinishedAt  time.Time        `json:"finishedAt,omitzero"`
}

// BuildComponent is a component as far as its image is made.
type BuildComponent struct {
	Name   string `json:"name"`
	From   string `json:"from"`             // what it is made from: the template's or the Dockerfile's name, or "image"
	Image  string `json:"image,omitempty"`  // once it is there
	Digest string `json:"digest,omitempty"` // sha256:...
	Tested bool   `json:"tested,omitempty"` // its tests ran and passed
}

// BuildRequest says what to do with a source.
type BuildRequest struct {
	Test     bool              `json:"test,omitempty"`     // run the components' tests first
	Fresh    bool              `json:"fresh,omitempty"`    // without the build cache
	Env      map[string]string `json:"env,omitzero"`       // of the release, as in Deploy
	Patch    *EnvPatch         `json:"patch,omitempty"`    // of the release, as in Deploy
	Replicas map[string]Scale  `json:"replicas,omitempty"` // of the release, as in Deploy

	TestCommand []string          `json:"testCommand,omitempty"` // argv, instead of the one that is found
	Args        map[string]string `json:"args,omitempty"`        // build arguments, laid over the project's; tests see them too
	Secrets     map[string]string `json:"secrets,omitempty"`     // for steps of tests and builds alone: in no image, and masked in the log
	Reports     string            `json:"reports,omitempty"`     // folder in which the tests leave JUnit files
	Only        bool              `json:"only,omitempty"`        // make no release: the images are thrown away
	Apart       string            `json:"apart,omitempty"`       // name of a cache of its own, for a source that is not trusted
}

// Outcomes of a test.
const (
	TestPassed  = "passed"
	TestFailed  = "failed"
	TestSkipped = "skipped"
)

// TestCase is one test as its report tells of it. All of it is text of
// strangers.
type TestCase struct {
	Component string  `json:"component,omitempty"`
	Suite     string  `json:"suite,omitempty"`
	Name      string  `json:"name"`
	Outcome   string  `json:"outcome"` // passed, failed, skipped
	Seconds   float64 `json:"seconds"`
	Message   string  `json:"message,omitempty"` // of a failure
	Flaky     string  `json:"flaky,omitempty"`   // why it is taken for one whose outcome is chance
}

// BuildLine is one line of a build's log.
type BuildLine struct {
	Time      time.Time `json:"time"`
	Component string    `json:"component,omitempty"`
	Kind      string    `json:"kind"`           // started, done, cached, failed, log, warning; note for hks's own words
	Step      string    `json:"step,omitempty"` // such as [2/3] RUN npm ci
	Text      string    `json:"text,omitempty"`
	Build     *Build    `json:"build,omitempty"` // on the last line
}

// BuildCache is what the builder keeps on the disk so that builds are quicker.
// Numbers are bytes.
type BuildCache struct {
	UsedBytes     int64 `json:"usedBytes"`
	OldBytes      int64 `json:"oldBytes"`      // not used in a week: what a prune frees
	FreeableBytes int64 `json:"freeableBytes"` // not used by a build at work: what a prune of all frees
	BudgetBytes   int64 `json:"budgetBytes"`   // the builder itself keeps to it
}

// BuildCachePrune is what came of cutting the cache back.
type BuildCachePrune struct {
	FreedBytes int64      `json:"freedBytes"`
	Cache      BuildCache `json:"cache"` // afterwards
}
