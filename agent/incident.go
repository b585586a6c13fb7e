package agent

import "time"

// IncidentStatus is where an incident stands.
type IncidentStatus string

// An incident's statuses.
const (
	IncidentPending  IncidentStatus = "pending" // seen, not yet for long enough to say so
	IncidentFiring   IncidentStatus = "firing"
	IncidentResolved IncidentStatus = "resolved"
)

// How much an incident matters.
const (
	SeverityWarning  = "warning"  // it will hurt
	SeverityCritical = "critical" // it hurts now
)

// Subject is what an incident is about. Kind says which of the others are set.
type Subject struct {
	Kind        string      `json:"kind"`           // app, service, function, cron, pipeline, node, domain, workspace, appliance
	Name        string      `json:"name,omitempty"` // of that kind
	Environment Environment `json:"environment,omitempty"`
	Component   string      `json:"component,omitempty"`
	Pod         string      `json:"pod,omitempty"`
	Container   string      `json:"container,omitempty"`
	Node        string      `json:"node,omitempty"`
}

// The kinds of a subject.
const (
	SubjectApp       = "app"
	SubjectService   = "service"
	SubjectFunction  = "function"
	SubjectCron      = "cron"
	SubjectPipeline  = "pipeline"
	SubjectNode      = "node"
	SubjectDomain    = "domain"
	SubjectWorkspace = "workspace"
	SubjectAppliance = "appliance"
)

// String names it as the commands do, such as "app web/production".
func (s Subject) String() string {
	text := s.Kind
	if s.Name != "" {
		text += " " + s.Name
	}
	if s.Environment != "" {
		text += "/" + string(s.Environment)
	}
	return text
}

// Fact is one number of the evidence, and why it matters.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why,omitempty"`
}

// Remedy is one way out. The safest comes first.
type Remedy struct {
	Title   string        `json:"title"`
	Command string        `json:"command,omitempty"` // of hks, to be copied
	Kubectl string        `json:"kubectl,omitempty"` // what does the same without hks
	Action  *RemedyAction `json:"action,omitempty"`  // what a button may do
}

// RemedyAction is a remedy that the API can carry out, with the app's own calls.
type RemedyAction struct {
	Kind        string      `json:"kind"` // rollback, restart, memory
	App         string      `json:"app"`
	Environment Environment `json:"environment"`
	Component   string      `json:"component,omitempty"`
	Release     int         `json:"release,omitempty"` // to roll back to
	Memory      string      `json:"memory,omitempty"`  // the new limit
}

// The kinds of an action.
const (
	RemedyRollback = "rollback"
	RemedyRestart  = "restart"
	RemedyMemory   = "memory"
)

// CauseChange is the release or change of configuration just before.
type CauseChange struct {
	Release int       `json:"release"`
	Before  int       `json:"before,omitempty"` // the release that served until then; 0: none
	Why     string    `json:"why"`              // deploy, config, rollback, promote, move
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// IncidentNote is one line of an incident's timeline.
type IncidentNote struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	By   string    `json:"by,omitempty"`
}

// Incident is one trouble of one thing, from when it was seen to its end.
type Incident struct {
	ID          int64          `json:"id"`
	Fingerprint string         `json:"fingerprint"` // app|workload|container|detector
	Detector    string         `json:"detector"`
	Severity    string         `json:"severity"`
	Status      IncidentStatus `json:"status"`
	Subject     Subject        `json:"subject"`
	Title       string         `json:"title"`   // one line, up to 150 bytes
	Summary     string         `json:"summary"` // one plain sentence: what happens, since when
	Evidence    []Fact         `json:"evidence"`
	RuledOut    []string       `json:"ruledOut,omitempty"`
	Change      *CauseChange   `json:"change,omitempty"`
	Remedies    []Remedy       `json:"remedies"`
	Logs        []string       `json:"logs,omitempty"`        // its last lines, without secrets
	Explanation string         `json:"explanation,omitempty"` // by a language model, from the evidence; marked as such
	Confidence  float64        `json:"confidence,omitempty"`  // 0 to 1; 0: the detector does not say
	TimeToLimit time.Duration  `json:"timeToLimit,omitempty"` // until it hits its limit, when that was foreseen; nanoseconds
	Reopened    int            `json:"reopened,omitempty"`    // times it came back within half an hour
	Cause       int64          `json:"cause,omitempty"`       // the incident that explains this one, such as its node's
	Quiet       string         `json:"quiet,omitempty"`       // why nobody was told: a silence, a deploy, a storm
	Accepted    bool           `json:"accepted,omitempty"`    // the owner said that it is no leak
	AckedBy     string         `json:"ackedBy,omitempty"`
	AckedAt     time.Time      `json:"ackedAt,omitzero"`
	Since       time.Time      `json:"since"` // when the trouble began, as far as the evidence goes
	OpenedAt    time.Time      `json:"openedAt"`
	UpdatedAt   time.Time      `json:"updatedAt"`
	ResolvedAt  time.Time      `json:"resolvedAt,omitzero"`
	Timeline    []IncidentNote `json:"timeline,omitempty"` // only when one incident is asked for
}

// Open tells whether it goes on.
func (i Incident) Open() bool { return i.Status != IncidentResolved }

// Silence keeps reports of what it matches from being sent; incidents are
// still opened and shown. An empty field matches anything.
type Silence struct {
	ID          int64     `json:"id"`
	Subject     string    `json:"subject,omitempty"`     // such as "app web/production"
	Detector    string    `json:"detector,omitempty"`    // such as memory-leak
	Fingerprint string    `json:"fingerprint,omitempty"` // exactly this one
	Reason      string    `json:"reason,omitempty"`
	By          string    `json:"by"`
	CreatedAt   time.Time `json:"createdAt"`
	Until       time.Time `json:"until"`
}

// Matches tells whether it holds for an incident at a time.
func (s Silence) Matches(i Incident, at time.Time) bool {
	return at.Before(s.Until) &&
		(s.Subject == "" || s.Subject == i.Subject.String()) &&
		(s.Detector == "" || s.Detector == i.Detector) &&
		(s.Fingerprint == "" || s.Fingerprint == i.Fingerprint)
}

// Attention is one thing that waits for the owner.
type Attention struct {
	Severity string    `json:"severity"`
	Subject  string    `json:"subject"` // such as "app web/production"
	Text     string    `json:"text"`
	Fix      string    `json:"fix,omitempty"`      // the next command
	Incident int64     `json:"incident,omitempty"` // that says more; 0: none
	Since    time.Time `json:"since"`
}

// SeriesPoint is one step of a series: the lowest, mean and highest value in
// it.
type SeriesPoint struct {
	Time time.Time `json:"time"`
	Min  float64   `json:"min"`
	Mean float64   `json:"mean"`
	Max  float64   `json:"max"`
}

// Series are the figures of one thing over a while.
type Series struct {
	Name   string        `json:"name"`         // memory, cpu, requests, errors, p95, used
	Unit   string        `json:"unit"`         // bytes, cores, per minute, ms
	Of     string        `json:"of,omitempty"` // an instance; empty: the sum
	Step   time.Duration `json:"step"`         // nanoseconds
	Limit  float64       `json:"limit,omitempty"`
	Points []SeriesPoint `json:"points"`
}
