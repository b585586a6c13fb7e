package agent

import "time"

// ProcessState is what a supervisor observes of a long-lived process.
type ProcessState struct {
	Running  bool
	PID      int       // 0 when not running
	Since    time.Time // start of the process, or its last end when not running
	Restarts int       // starts after the first one, as long as the supervisor watches
	LastExit string    // how it ended last, such as "exit status 1"; empty when it never did
}
