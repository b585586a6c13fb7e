package buildkit

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	StepStarted EventKind = "started"
	StepDone    EventKind = "done"   // Took tells how long
	StepCached  EventKind = "cached" // an earlier build did it already
	StepFailed  EventKind = "failed" // Text tells why
	StepLog     EventKind = "log"    // Text is a line of the step's output
	StepWarning EventKind = "warning"
)

// Event is one thing that happened in a build. Step counts from 1 in the order
// in which steps appear; 0 is the build itself.
type Event struct {
	Time time.Time
	Kind EventKind
	Step int
	Name string        // of the step, such as [2/3] RUN npm ci
	Text string        // at most maxLine bytes, one line, without control characters and secrets
	Took time.Duration // of a step that is done
}
