package agent

import "time"

// Environment is a deployment target; it is part of an app's identity.
type Environment string

// The environments.
const (
	Staging    Environment = "staging"
	Production Environment = "production"
)

// ParseEnvironment checks s; empty means Staging.
func ParseEnvironment(s string) (Environment, error) {
	switch Environment(s) {
	case "", Staging:
		return Staging, nil
	case Production:
		return Production, nil
	}
	return "", invalid("environment", s, "there is no environment "+s, "use staging or production")
}

// AppStatus is what was observed of an app.
type AppStatus string

// An application's statuses.
const (
	AppPending   AppStatus = "pending"   // waits for room; Reason holds the scheduler's words
	AppDeploying AppStatus = "deploying" // first release on its way
	AppRunning   AppStatus = "running"   // rollout seen and the route answers
	AppUpdating  AppStatus = "updating"  // an earlier release serves while the next comes
	AppStopping  AppStatus = "stopping"
	AppStopped   AppStatus = "stopped"
	AppError     AppStatus = "error" // Reason says why
	AppDeleting  AppStatus = "deleting"
)

// App is an application in one environment.
type App struct {
	Name        string      `json:"name"`
	Environment Environment `json:"environment"`
	Status      AppStatus   `json:"status"`
	Reason      string      `json:"reason,omitempty"` // why, in plain words, when not running
	Fix         string      `json:"fix,omitempty"`
	URL         string      `json:"url"`
	Release     int         `json:"release"`          // the release that serves; 0: none yet
	Target      int         `json:"target,omitempty"` // the release on its way, when another than Release
	Image       string      `json:"image"`            // as the user named it
	Digest      string      `json:"digest,omitempty"`
	Replicas    int         `json:"replicas"` // asked for; kept through releases and rollbacks
	Ready       int         `json:"ready"`    // replicas that are ready now
	Usage       Usage       `json:"usage"`
	Instances   []Instance  `json:"instances,omitempty"` // only when one app is asked for
	CreatedAt   time.Time   `json:"createdAt"`
	UpdatedAt   time.Time   `json:"updatedAt"`
}

// Usage is what an app or an instance takes now.
type Usage struct {
	CPU         float64   `json:"cpu"`         // cores, over the last sample's interval
	Memory      int64     `json:"memory"`      // bytes, working set
	CPULimit    float64   `json:"cpuLimit"`    // cores; 0: none
	MemoryLimit int64     `json:"memoryLimit"` // bytes; 0: none
	SampledAt   time.Time `json:"sampledAt"`   // zero: not sampled yet
}

// Instance is one pod of an app.
type Instance struct {
	Name      string    `json:"name"`
	Release   int       `json:"release"`
	Node      string    `json:"node"`
	Phase     string    `json:"phase"` // one plain word: pending, pulling, starting, ready, crashed, stopping
	Reason    string    `json:"reason,omitempty"`
	Restarts  int       `json:"restarts"`
	Usage     Usage     `json:"usage"`
	StartedAt time.Time `json:"startedAt"`
}

// Spec is the configuration of one release: together with the image's digest
// it is all that is needed to bring the release back.
type Spec struct {
	Image   string            `json:"image"`             // reference as the user wrote it
	Port    int               `json:"port"`              // the container listens on it
	Env     map[string]string `json:"env,omitzero"`      // API answers hold HiddenValue for each value; in Deploy nil keeps all, HiddenValue keeps one
	Command []string          `json:"command,omitempty"` // overrides the image's entry point
	CPU     string            `json:"cpu,omitempty"`     // Kubernetes quantity, the limit
	Memory  string            `json:"memory,omitempty"`  // Kubernetes quantity, the limit
	Host    string            `json:"host,omitempty"`    // default: HostLabel + domain
	Path    string            `json:"path,omitempty"`    // prefix of the route; default /
	Health  string            `json:"health,omitempty"`  // HTTP path of the readiness probe; default: a TCP connect to Port
}

// HiddenValue stands in API answers where a value is kept back.
const HiddenValue = "••••••"

// Deploy asks for a new release of an app.
type Deploy struct {
	Spec
	Replicas *int `json:"replicas,omitempty"` // nil: as it is, 1 for a new app
}

// ReleaseStatus is where a release is in its life.
type ReleaseStatus string

// A release's statuses.
const (
	ReleasePending   ReleaseStatus = "pending"   // accepted, on disk
	ReleaseDeploying ReleaseStatus = "deploying" // being rolled out
	ReleaseSucceeded ReleaseStatus = "succeeded" // rollout seen and the route answered
	ReleaseFailed    ReleaseStatus = "failed"    // Failure says why; the one before serves
	ReleaseCancelled ReleaseStatus = "cancelled" // superseded by a newer one, or stopped
)

// Done tells whether the status is final.
func (s ReleaseStatus) Done() bool {
	return s == ReleaseSucceeded || s == ReleaseFailed || s == ReleaseCancelled
}

// Release is one numbered, immutable deployment of an app.
type Release struct {
	App         string        `json:"app"`
	Environment Environment   `json:"environment"`
	Number      int           `json:"number"`
	Spec        Spec          `json:"spec"`
	Digest      string        `json:"digest,omitempty"` // sha256:... of the image; empty until known
	Kind        string        `json:"kind"`             // deploy, config, rollback, promote
	From        int           `json:"from,omitempty"`   // for a rollback, the release brought back
	By          string        `json:"by"`               // who asked
	Status      ReleaseStatus `json:"status"`
	Failure     *Failure      `json:"failure,omitempty"`
	CreatedAt   time.Time     `json:"createdAt"`
	FinishedAt  time.Time     `json:"finishedAt,omitzero"`
}

// Failure tells why a release failed; it is kept with the release.
type Failure struct {
	Code     Code     `json:"code"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"`
	ExitCode *int     `json:"exitCode,omitempty"`
	Logs     []string `json:"logs,omitempty"` // the last 200 lines of the failed container
}

// Progress is one observation on a release's way, as shown while one waits.
type Progress struct {
	Time    time.Time `json:"time"`
	Step    string    `json:"step"`    // resolve, apply, schedule, pull, start, ready, route, done, failed, rollback
	Message string    `json:"message"` // plain words
	Release *Release  `json:"release,omitempty"`
	Done    bool      `json:"done,omitempty"` // the last one; Release is set
}

// LogLine is one line of an instance's output.
type LogLine struct {
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"`
	Text     string    `json:"text"`
}

// LogQuery selects log lines.
type LogQuery struct {
	Follow   bool
	Previous bool          // of the container before the last restart
	Tail     int           // lines an instance; 0: 200
	Since    time.Duration // 0: all that is kept
}

// Point is one sample of an app's use for charts.
type Point struct {
	Time   time.Time `json:"time"`
	CPU    float64   `json:"cpu"`    // cores
	Memory int64     `json:"memory"` // bytes, working set
}

// Deletion tells what a delete removed and what it kept.
type Deletion struct {
	Removed []string `json:"removed"` // kind/name
	Kept    []string `json:"kept,omitempty"`
}
