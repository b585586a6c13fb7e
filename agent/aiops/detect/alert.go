package detect

// State is how far an alert is.
type State string

// An alert is pending while what it says may still pass by itself, firing when
// it is sure, resolved when it was seen to be over. A pending alert that
// passes is resolved without having fired.
const (
	Pending  State = "pending"
	Firing   State = "firing"
	Resolved State = "resolved"
)

// The detectors, as Alert.Detector names them.
const (
	MemoryLeak = "memory-leak"
	OOMLoop    = "oom-loop"
	VolumeFull = "volume-full"
	Latency    = "latency"
	ErrorRate  = "errors"
	LogNovelty = "log-novelty"
	Anomaly    = "anomaly"
)

// Severities of an alert.
const (
	Warning  = "warning"
	Critical = "critical"
)

// Alert is a change of what a detector says about one thing. A firing alert
// comes again with the same fingerprint when its severity rises.
type Alert struct {
	T           int64    `json:"t"`           // Unix seconds, when it was found
	Fingerprint string   `json:"fingerprint"` // app|workload|container|detector: the same for the same trouble, never variable text
	Detector    string   `json:"detector"`
	State       State    `json:"state"`
	Severity    string   `json:"severity"`
	App         string   `json:"app"`
	Pod         string   `json:"pod,omitempty"`           // or route, volume, series: what was looked at
	Container   string   `json:"container,omitempty"`     // memory only
	Since       int64    `json:"since"`                   // Unix seconds, when it began
	Confidence  float64  `json:"confidence"`              // 0 to 1
	TimeToLimit int64    `json:"time_to_limit,omitempty"` // seconds; 0: not known, or there is no limit
	Evidence    []Fact   `json:"evidence,omitempty"`
	RuledOut    []string `json:"ruled_out,omitempty"` // what was looked at and is not the cause
}

// Fact is one number of the evidence and why it matters.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}
