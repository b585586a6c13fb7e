package agent

import "time"

// AuditEntry is one change that someone asked for, and what came of it. It
// never holds what was sent.
type AuditEntry struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	Who     string    `json:"who"`             // owner, root, node/NAME; empty: nobody who is known
	Via     string    `json:"via"`             // session, token, socket, invitation
	Token   string    `json:"token,omitempty"` // the name of the API token
	Address string    `json:"address"`         // where it came from; empty: the machine's socket
	Method  string    `json:"method"`
	Route   string    `json:"route"`            // as the API's table has it
	Target  string    `json:"target,omitempty"` // what the route's parameters were, such as "app=web env=staging"
	Status  int       `json:"status"`           // of the answer
	Code    Code      `json:"code,omitempty"`   // of the error; empty: it was done, or accepted
}

// AuditQuery chooses entries; zero fields choose all.
type AuditQuery struct {
	Who, Token, Text string // Text is a part of the route or of the target
	Failed           bool   // only what was refused
	Before           int64  // older than this entry
	Limit            int
}

// Session is the login of a browser.
type Session struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	UsedAt    time.Time `json:"usedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	Current   bool      `json:"current,omitempty"` // it makes the request
}

// Update tells of a newer version.
type Update struct {
	Enabled   bool      `json:"enabled"` // an address is configured
	Current   string    `json:"current"`
	Latest    string    `json:"latest,omitempty"`
	Available bool      `json:"available"`
	Notes     string    `json:"notes,omitempty"` // URL of what is new
	CheckedAt time.Time `json:"checkedAt,omitzero"`
	Failure   string    `json:"failure,omitempty"` // of the last look
}
