package detect

// Sample is one look at a container.
type Sample struct {
	T          int64   `json:"t"` // Unix seconds
	App        string  `json:"app"`
	Pod        string  `json:"pod"`
	Container  string  `json:"container"`
	RSS        int64   `json:"rss"`         // anonymous memory, bytes
	WorkingSet int64   `json:"working_set"` // with the page cache in use, bytes
	Limit      int64   `json:"limit"`       // of memory, bytes; 0: none
	CPU        float64 `json:"cpu"`         // cores
	Restarts   int     `json:"restarts"`    // of the container in this pod so far
}

// Kinds of events that detectors know; others are kept out of their way.
const (
	EventOOMKilled = "oomkilled" // a process of the container was killed for its memory
	EventRestart   = "restart"   // the container was started again
	EventDeploy    = "deploy"    // a new release begins to roll out
	EventRelease   = "release"   // the same by another name
	EventConfig    = "config"    // settings were changed; pods are replaced
)

// Event is something that happened at one time.
type Event struct {
	T         int64  `json:"t"` // Unix seconds
	Event     string `json:"event"`
	App       string `json:"app"`
	Pod       string `json:"pod,omitempty"`       // "": all pods of the app
	Container string `json:"container,omitempty"` // "": all containers of the pod
	Detail    string `json:"detail,omitempty"`
}

// Point is one value of a plain series.
type Point struct {
	T      int64   `json:"t"` // Unix seconds
	Series string  `json:"series"`
	Value  float64 `json:"value"`
}

// Requests are the figures of a route for one minute.
type Requests struct {
	T      int64   `json:"t"` // Unix seconds, of the minute's begin
	Route  string  `json:"route"`
	App    string  `json:"app"`
	Count  int     `json:"count"`
	Errors int     `json:"errors"` // answers of 500 and above
	P95    float64 `json:"p95"`    // of the time to answer, milliseconds
}

// Volume is how full a filesystem is.
type Volume struct {
	T        int64  `json:"t"` // Unix seconds
	Volume   string `json:"volume"`
	App      string `json:"app"`
	Used     int64  `json:"used"`     // bytes
	Capacity int64  `json:"capacity"` // bytes
}

// LogLine is one line of an app's log.
type LogLine struct {
	T     int64  `json:"t"` // Unix seconds
	App   string `json:"app"`
	Pod   string `json:"pod"`
	Line  string `json:"line"`
	Level string `json:"level,omitempty"` // "error", "warning", ...; "": told from the line
}
