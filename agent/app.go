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
	Name        string           `json:"name"`
	Environment Environment      `json:"environment"`
	Status      AppStatus        `json:"status"`
	Reason      string           `json:"reason,omitempty"` // why, in plain words, when not running
	Fix         string           `json:"fix,omitempty"`
	URL         string           `json:"url"`
	Release     int              `json:"release"`          // the release that serves; 0: none yet
	Target      int              `json:"target,omitempty"` // the release on its way, when another than Release
	Image       string           `json:"image"`            // of the main component, as the user named it
	Digest      string           `json:"digest,omitempty"` // of the main component
	Replicas    int              `json:"replicas"`         // of all components
	Ready       int              `json:"ready"`            // replicas that are ready now, of all components
	Usage       Usage            `json:"usage"`
	Maintenance *Maintenance     `json:"maintenance,omitempty"` // nil: the app answers itself
	Components  []ComponentState `json:"components"`            // by name
	Instances   []Instance       `json:"instances,omitempty"`   // only when one app is asked for
	CreatedAt   time.Time        `json:"createdAt"`
	UpdatedAt   time.Time        `json:"updatedAt"`
}

// ComponentState is what was observed of a component of an app.
type ComponentState struct {
	Name     string `json:"name"`
	Image    string `json:"image"` // as the user named it
	Digest   string `json:"digest,omitempty"`
	URL      string `json:"url,omitempty"`  // empty: not reached from outside
	Port     int    `json:"port,omitempty"` // 0: nothing listens
	Replicas int    `json:"replicas"`       // asked for now; kept through releases and rollbacks
	Ready    int    `json:"ready"`          // replicas that are ready now
	Usage    Usage  `json:"usage"`

	Autoscale *Autoscale `json:"autoscale,omitempty"` // nil: the number of replicas is fixed
}

// Autoscale is what was observed of a component whose number of instances
// follows its load.
type Autoscale struct {
	Min    int    `json:"min"`              // instances, at least
	Max    int    `json:"max"`              // instances, at most
	CPU    int    `json:"cpu"`              // percent of the reserved CPU that instances are to take on average
	Now    *int   `json:"now,omitempty"`    // percent that they took at the cluster's last look; nil: not measured yet
	Reason string `json:"reason,omitempty"` // why it can't follow the load, in plain words
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
	Component string    `json:"component"`
	Release   int       `json:"release"`
	Node      string    `json:"node"`
	Phase     string    `json:"phase"` // one plain word: pending, pulling, starting, ready, crashed, stopping
	Reason    string    `json:"reason,omitempty"`
	Restarts  int       `json:"restarts"`
	Usage     Usage     `json:"usage"`
	StartedAt time.Time `json:"startedAt"`
}

// Spec is the configuration of one release: together with the images' digests
// it is all that is needed to bring the release back.
type Spec struct {
	Components []Component       `json:"components"`      // by name; never none
	Env        map[string]string `json:"env,omitzero"`    // API answers hold HiddenValue for each value
	Place      string            `json:"place,omitempty"` // where its instances run: empty or "shared", "dedicated", or a dedicated node's name
}

// Move asks for something to run elsewhere.
type Move struct {
	To string `json:"to"` // shared, dedicated, or the name of a node
}

// MovePlan tells what moving an app or a service to another place would do.
type MovePlan struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Fits     bool     `json:"fits"`
	Reason   string   `json:"reason,omitempty"` // why it does not fit, and what would do
	Needs    Amounts  `json:"needs"`            // what its instances ask for, one more for the change included
	Free     Amounts  `json:"free"`             // on the node with the most room
	Nodes    []string `json:"nodes"`            // that it may run on
	Expected []string `json:"expected"`         // what happens, in plain words

	Volumes *VolumePlan `json:"volumes,omitempty"`      // what would be copied; absent: nothing
	Pause   int         `json:"pauseSeconds,omitempty"` // about how long nothing answers while volumes are switched
}

// Amounts are of processors and memory.
type Amounts struct {
	CPU    int64 `json:"cpu"`    // millicores
	Memory int64 `json:"memory"` // bytes
}

// HiddenValue stands in API answers where a value is kept back.
const HiddenValue = "••••••"

// Deploy asks for a new release of an app. Components and Change exclude each
// other; with neither, the components stay as they are.
type Deploy struct {
	Components []Component       `json:"components,omitempty"` // all that there are to be, as a file says; the others go
	Change     []Component       `json:"change,omitempty"`     // what to set in a component; what is empty stays as it is, and the only one needs no name
	Env        map[string]string `json:"env,omitzero"`         // nil keeps all, HiddenValue keeps one
	Patch      *EnvPatch         `json:"patch,omitempty"`      // laid over the environment that there is when the release is accepted
	Replicas   map[string]Scale  `json:"replicas,omitempty"`   // by component; missing: as it is, 1 for a new one
	Build      int64             `json:"-"`                    // the build that it comes of
}

// EnvPatch changes some variables and leaves the others as they are, whatever
// they are by then.
type EnvPatch struct {
	Set   map[string]string `json:"set,omitzero"`
	Unset []string          `json:"unset,omitempty"`
}

// Change is one difference between two configurations. An empty From or To
// means that there is nothing on that side.
type Change struct {
	Component string `json:"component,omitempty"` // empty: of the app as a whole
	Field     string `json:"field"`               // such as image, path, env NAME
	From      string `json:"from"`
	To        string `json:"to"`
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
	App         string      `json:"app"`
	Environment Environment `json:"environment"`
	Number      int         `json:"number"`
	Spec        Spec        `json:"spec"`

	Digests    map[string]string `json:"digests,omitempty"` // sha256:... of each component's image, once known
	Kind       string            `json:"kind"`              // deploy, config, rollback, promote, move
	From       int               `json:"from,omitempty"`    // the release brought back or promoted
	By         string            `json:"by"`                // who asked
	Status     ReleaseStatus     `json:"status"`
	Failure    *Failure          `json:"failure,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	FinishedAt time.Time         `json:"finishedAt,omitzero"`
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
	Step    string    `json:"step"`    // resolve, release, apply, schedule, pull, start, ready, route, done, failed, rollback
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
	Component string // empty: of all
	Follow    bool
	Previous  bool          // of the container before the last restart
	Tail      int           // lines an instance; 0: 200
	Since     time.Duration // 0: all that is kept
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
