package agent

import (
	"encoding/json"
	"time"
)

// FunctionSpec is what function.yaml says of a function.
type FunctionSpec struct {
	Name         string   `json:"name" yaml:"name"`
	Runtime      string   `json:"runtime" yaml:"runtime"`                            // nodejs, python or go
	Entry        string   `json:"entry" yaml:"entry"`                                // name of the exported function
	Source       string   `json:"source,omitempty" yaml:"source,omitempty"`          // file that has it; default the language's own
	Signature    string   `json:"signature" yaml:"signature,omitempty"`              // http or cloudevent
	Public       bool     `json:"public" yaml:"public,omitempty"`                    // callable without the key
	Memory       int      `json:"memory" yaml:"memory,omitempty"`                    // MiB: 128, 256 or 512
	Timeout      int      `json:"timeout" yaml:"timeout,omitempty"`                  // seconds, at most 900
	Concurrency  int      `json:"concurrency" yaml:"concurrency,omitempty"`          // calls at a time in one instance
	MaxInstances int      `json:"maxInstances" yaml:"maxInstances,omitempty"`        // instances at a time
	MinWarm      int      `json:"minWarm,omitempty" yaml:"minWarm,omitempty"`        // instances kept without calls
	Idle         int      `json:"idle" yaml:"idle,omitempty"`                        // seconds without a call before an instance goes
	Requires     []string `json:"requires,omitempty" yaml:"requires,omitempty,flow"` // variables that must be set

	Triggers []FunctionTrigger `json:"triggers,omitempty" yaml:"triggers,omitempty"`
}

// FunctionTrigger calls a function by itself: at times, or when something
// happened. One of Cron and Event is set.
type FunctionTrigger struct {
	Cron     string `json:"cron,omitempty" yaml:"cron,omitempty"`         // as of a cron job, which it makes
	TimeZone string `json:"timeZone,omitempty" yaml:"timeZone,omitempty"` // of Cron; default UTC
	Payload  string `json:"payload,omitempty" yaml:"payload,omitempty"`   // of Cron: JSON
	Event    string `json:"event,omitempty" yaml:"event,omitempty"`       // type of CloudEvents; a * at its end stands for anything
}

// Types of the CloudEvents that the appliance itself sends: what follows the
// prefix is the status of a run, or what became of an incident.
const (
	EventPipeline = "dev.hks.pipeline." // succeeded, failed, cancelled
	EventIncident = "dev.hks.incident." // opened, resolved
	EventCron     = "dev.hks.cron"      // a slot of a function that takes CloudEvents
)

// FunctionEvent is a CloudEvent for whichever functions wait for its type.
type FunctionEvent struct {
	ID      string          `json:"id,omitempty"` // of idempotency, with Source; default a new one
	Type    string          `json:"type"`
	Source  string          `json:"source,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// FunctionEventSent tells which functions an event goes to.
type FunctionEventSent struct {
	ID        string   `json:"id"`
	Functions []string `json:"functions"`
}

// FunctionDeploy is a new version of a function. Files are by path, with
// slashes.
type FunctionDeploy struct {
	Spec  FunctionSpec      `json:"spec"`
	Files map[string][]byte `json:"files"`
}

// FunctionVersionStatus is where a version is in its life.
type FunctionVersionStatus string

// The statuses of a version. One that failed never served a call.
const (
	FunctionPending  FunctionVersionStatus = "pending"
	FunctionBuilding FunctionVersionStatus = "building"
	FunctionTrying   FunctionVersionStatus = "trying" // loaded in an instance, before it may serve
	FunctionReady    FunctionVersionStatus = "ready"
	FunctionFailed   FunctionVersionStatus = "failed"
)

// Done tells whether nothing more happens to the version.
func (s FunctionVersionStatus) Done() bool { return s == FunctionReady || s == FunctionFailed }

// FunctionVersion is one deployed source of a function.
type FunctionVersion struct {
	Function  string                `json:"function"`
	Number    int                   `json:"number"`
	Status    FunctionVersionStatus `json:"status"`
	Spec      FunctionSpec          `json:"spec"`
	Digest    string                `json:"digest,omitempty"` // SHA-256 of the archive, hex
	Failure   *Failure              `json:"failure,omitempty"`
	By        string                `json:"by"`
	CreatedAt time.Time             `json:"createdAt"`
}

// Function is a function as it is now.
type Function struct {
	Name      string       `json:"name"`
	URL       string       `json:"url"`
	Spec      FunctionSpec `json:"spec"`              // of the version that serves
	Version   int          `json:"version"`           // that serves; 0: none yet
	Variables []string     `json:"variables"`         // names of its environment
	Missing   []string     `json:"missing,omitempty"` // variables it requires and that are not set
	Instances int          `json:"instances"`
	Waiting   int          `json:"waiting"` // asynchronous calls not yet done
	Dead      int          `json:"dead"`    // dead letters
	Key       string       `json:"key,omitempty"`
	CreatedAt time.Time    `json:"createdAt"`
}

// FunctionCall is a call to make.
type FunctionCall struct {
	Payload []byte            `json:"payload"`
	Headers map[string]string `json:"headers,omitempty"` // Content-Type, and ce-* of an event
	Key     string            `json:"key,omitempty"`     // of idempotency; asynchronous calls only
}

// FunctionAnswer is what came of a call.
type FunctionAnswer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
	Cold    bool              `json:"cold"`
	Millis  float64           `json:"millis"`
}

// FunctionLetter is an asynchronous call: one that waits, or a dead letter.
type FunctionLetter struct {
	ID        int64             `json:"id"`
	Function  string            `json:"function"`
	Status    string            `json:"status"` // pending, running, dead
	Attempts  int               `json:"attempts"`
	Error     string            `json:"error,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Payload   []byte            `json:"payload"`
	NextAt    time.Time         `json:"nextAt,omitzero"`
	CreatedAt time.Time         `json:"createdAt"`
}

// Limits of calls, in bytes.
const (
	MaxFunctionPayload = 6 << 20
	MaxFunctionEvent   = 256 << 10
	MaxFunctionSource  = 5 << 20 // of all files of a deploy
)

// FunctionTable is all that the gateway knows of functions. A table with a
// lower Seq than the last one is late and says nothing.
type FunctionTable struct {
	Seq       int64           `json:"seq"`
	Functions []FunctionRoute `json:"functions"`
}

// FunctionRoute is what the gateway knows of one function.
type FunctionRoute struct {
	Name         string   `json:"name"`
	Host         string   `json:"host"`
	KeyHash      string   `json:"keyHash,omitempty"` // SHA-256 of the key, hex; empty: public
	Version      int      `json:"version"`
	Concurrency  int      `json:"concurrency"`
	MaxInstances int      `json:"maxInstances"`
	Timeout      int      `json:"timeout"` // seconds
	Instances    []string `json:"instances"`
}

// FunctionClaim is the agent's answer to a gateway that needs an instance.
type FunctionClaim struct {
	Seq     int64           `json:"seq"`
	Address string          `json:"address,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"` // {code, message, fix}
	Status  int             `json:"status,omitempty"`
}

// FunctionLoad is what an instance does, by its address.
type FunctionLoad struct {
	InFlight int       `json:"inFlight"`
	Last     time.Time `json:"last"` // begin or end of its last call
}

// FunctionLine is a line of a function's log.
type FunctionLine struct {
	Text string `json:"text"`
}
