package agent

import "time"

// Identity is who makes a request.
type Identity struct {
	Name string `json:"name"` // owner, or root for the machine's administrator on the unix socket
	Via  string `json:"via"`  // session, token, socket
	ID   string `json:"id,omitempty"`
	// Token is the name of the API token.
	Token string `json:"token,omitempty"`
}

// Token is an API token as listed; its secret is shown once, when it is made.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Secret    string    `json:"secret,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UsedAt    time.Time `json:"usedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// PasswordReset asks for a link with which the owner sets another password.
type PasswordReset struct {
	RevokeTokens bool `json:"revokeTokens,omitempty"` // all API tokens, at once
}

// Info is what the appliance tells of itself to anyone who asks.
type Info struct {
	Product     string `json:"product"` // hks
	Version     string `json:"version"`
	SetUp       bool   `json:"setUp"`       // an owner exists
	Fingerprint string `json:"fingerprint"` // SHA256:hex of the API's certificate (DER)
	Domain      string `json:"domain"`
}

// System is the state of the appliance's own parts.
type System struct {
	Version string   `json:"version,omitempty"` // of hks itself
	Upgrade *Upgrade `json:"upgrade,omitempty"` // the last change of that version; nil: there was none
	Parts   []Part   `json:"parts"`
}

// Part is one supervised part: engine, api-server, gateway, registry, node.
type Part struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Version string `json:"version,omitempty"`
	Message string `json:"message,omitempty"` // what it waits for, or what is wrong
}
