package agent

import "time"

// Event tells a listener that an object changed. Subject and Kind say which;
// Object is its new JSON form, absent when it is gone.
type Event struct {
	ID      int64     `json:"id"` // grows; a listener resumes after the last it saw
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`             // app, release, workspace, system, activity
	Subject string    `json:"subject"`          // such as web/staging
	Object  any       `json:"object,omitempty"` // App, Release, Workspace, System or Activity
}

// Activity is one line of what happened, for people.
type Activity struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`   // info, warning, error
	Subject string    `json:"subject"` // such as web/staging
	Message string    `json:"message"`
	By      string    `json:"by,omitempty"`
}
